import type { ApiPromise } from '@polkadot/api'
import type { Codec } from '@polkadot/types/types'
import type { Hyperparameters } from '../chain.ts'
import { ChainError } from '../errors.ts'
import { bestBlockHash } from './blocks.ts'
import type { NodeConnection } from './connection.ts'
import { bigintOf, boolOf, countOf, findEntry, type Read, readStorage } from './storage.ts'

/** Items with one value for each subnet. */
const OF_SUBNET = [
  'networksAdded',
  'subnetworkN',
  'tempo',
  'minAllowedWeights',
  'maxWeightsLimit',
  'weightsSetRateLimit',
  'weightsVersionKey',
  'servingRateLimit',
  'activityCutoff',
  'immunityPeriod',
  'maxAllowedUids',
  'maxAllowedValidators',
  // Only on newer chains.
  'activityCutoffFactorMilli',
  'commitRevealWeightsEnabled',
  'revealPeriodEpochs',
] as const
/** Items with one value for the whole chain. `weightsMinStake` is the name that chains used in 2024. */
const OF_CHAIN = ['stakeThreshold', 'weightsMinStake'] as const
type Item = (typeof OF_SUBNET)[number] | (typeof OF_CHAIN)[number] | 'number'

/** The u16 that means 1.0: no limit. */
const NO_WEIGHTS_LIMIT = 65_535

/**
 * Reads a subnet's settings at the best block, in two requests. A setting that this chain does not have gets the value
 * that describes what the chain does.
 * @throws ChainError SubnetNotFound
 */
export async function readHyperparameters(node: NodeConnection, netuid: number): Promise<Hyperparameters> {
  const at = await bestBlockHash(node)
  const items = await readItems(node, at, netuid)
  const count = (item: Item): number => countOf(items.get(item))
  if (!boolOf(items.get('networksAdded'))) throw new ChainError('SubnetNotFound', `netuid ${netuid}`)
  return {
    netuid,
    block: count('number'),
    neurons: count('subnetworkN'),
    tempo: count('tempo'),
    minAllowedWeights: count('minAllowedWeights'),
    maxWeightsLimit: items.has('maxWeightsLimit') ? count('maxWeightsLimit') : NO_WEIGHTS_LIMIT,
    weightsSetRateLimit: count('weightsSetRateLimit'),
    weightsVersionKey: bigintOf(items.get('weightsVersionKey')),
    servingRateLimit: count('servingRateLimit'),
    activityCutoff: activityCutoff(items),
    immunityPeriod: count('immunityPeriod'),
    maxAllowedUids: count('maxAllowedUids'),
    maxAllowedValidators: count('maxAllowedValidators'),
    stakeThresholdRao: bigintOf(items.get('stakeThreshold') ?? items.get('weightsMinStake')),
    commitRevealWeightsEnabled: boolOf(items.get('commitRevealWeightsEnabled')),
    revealPeriodEpochs: items.has('revealPeriodEpochs') ? count('revealPeriodEpochs') : 1,
  }
}

/** Newer chains give the cutoff in thousandths of a tempo, at least one block. */
function activityCutoff(items: ReadonlyMap<Item, Codec | null>): number {
  const factor = items.get('activityCutoffFactorMilli')
  if (!factor) return countOf(items.get('activityCutoff'))
  return Math.max(1, Math.floor((countOf(factor) * countOf(items.get('tempo'))) / 1_000))
}

async function readItems(node: NodeConnection, at: string, netuid: number): Promise<Map<Item, Codec | null>> {
  const reads = new Map<Item, Read>()
  const offer = (item: Item, pallet: string, args: unknown[], api: ApiPromise = node.api): void => {
    const entry = findEntry(api, pallet, item)
    if (entry) reads.set(item, { entry, args })
  }
  offer('number', 'system', [])
  for (const item of OF_SUBNET) offer(item, 'subtensorModule', [netuid])
  for (const item of OF_CHAIN) offer(item, 'subtensorModule', [])
  const values = await readStorage(node, at, [...reads.values()])
  return new Map([...reads.keys()].map((item, i) => [item, values[i] ?? null]))
}
