/** Who counts as a validator, as the chain says it: as many as may have permits, with the stake that it takes weights from. */
import type { ApiPromise } from '@polkadot/api'
import type { Codec } from '@polkadot/types/types'
import type { RuleInForce, ValidatorRule } from '../metagraph.ts'
import { bigintOf, countOf, findEntry, type Read } from './storage.ts'

const PALLET = 'subtensorModule'

export type RuleReads = { readonly max: Read | undefined; readonly minStake: Read | undefined }

/** What is to be read for it; undefined where this chain has no such item. The stake's second name is that of 2024. */
export function ruleReads(api: ApiPromise, netuid: number): RuleReads {
  const max = findEntry(api, PALLET, 'maxAllowedValidators')
  const minStake = findEntry(api, PALLET, 'stakeThreshold') ?? findEntry(api, PALLET, 'weightsMinStake')
  return { max: max && { entry: max, args: [netuid] }, minStake: minStake && { entry: minStake, args: [] } }
}

/** The rule of what was read; what this chain does not say is as in `fallback`. */
export function ruleInForce(
  read: { max: Codec | null | undefined; minStake: Codec | null | undefined },
  fallback: ValidatorRule,
): RuleInForce {
  return {
    max: read.max ? countOf(read.max) : fallback.max,
    minStakeRao: read.minStake ? bigintOf(read.minStake) : fallback.minStakeRao,
    fromChain: { max: Boolean(read.max), minStake: Boolean(read.minStake) },
  }
}
