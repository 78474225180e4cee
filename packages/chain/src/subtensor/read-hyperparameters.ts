import type { ApiPromise } from '@polkadot/api'
import type { Codec } from '@polkadot/types/types'
import type { Hyperparameters } from '../chain.ts'
import { ChainError } from '../errors.ts'
import type { Live } from './connection.ts'
import { bestBlockHash, bigintOf, boolOf, countOf, findEntry, type Read, readStorage } from './storage.ts'

/** Items that every chain has, one a subnet. */
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
  // Of younger chains.
  'activityCutoffFactorMilli',
  'commitRevealWeightsEnabled',
  'revealPeriodEpochs',
] as const
/** One for the whole chain; the second is the name of 2024. */
const OF_CHAIN = ['stakeThreshold', 'weightsMinStake'] as const
type Item = (typeof OF_SUBNET)[number] | (typeof OF_CHAIN)[number] | 'number'

/** 65535: no limit. */
const NO_WEIGHTS_LIMIT = 65_535

/**
 * A subnet's settings as of the best block, in two requests. What a chain does not have says what that chain does.
 * @throws ChainError SubnetNotFound
 */
export async function readHyperparameters(live: Live, netuid: number): Promise<Hyperparameters> {
  const at = await bestBlockHash(live)
  const items = await readItems(live, at, netuid)
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

/** Chains of today count the cutoff in thousandths of a tempo, at least one block. */
function activityCutoff(items: ReadonlyMap<Item, Codec | null>): number {
  const factor = items.get('activityCutoffFactorMilli')
  if (!factor) return countOf(items.get('activityCutoff'))
  return Math.max(1, Math.floor((countOf(factor) * countOf(items.get('tempo'))) / 1_000))
}

async function readItems(live: Live, at: string, netuid: number): Promise<Map<Item, Codec | null>> {
  const reads = new Map<Item, Read>()
  const offer = (item: Item, pallet: string, args: unknown[], api: ApiPromise = live.api): void => {
    const entry = findEntry(api, pallet, item)
    if (entry) reads.set(item, { entry, args })
  }
  offer('number', 'system', [])
  for (const item of OF_SUBNET) offer(item, 'subtensorModule', [netuid])
  for (const item of OF_CHAIN) offer(item, 'subtensorModule', [])
  const values = await readStorage(live, at, [...reads.values()])
  return new Map([...reads.keys()].map((item, i) => [item, values[i] ?? null]))
}
