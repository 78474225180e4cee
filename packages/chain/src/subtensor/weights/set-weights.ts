import type { Codec } from '@polkadot/types/types'
import type { WeightOf, WeightsToSet } from '../../chain.ts'
import { ChainError } from '../../errors.ts'
import { upscaled } from '../../weights/row.ts'
import { U16_MAX } from '../../weights/sdk.ts'
import { hashOf } from '../answers.ts'
import type { Live } from '../connection.ts'
import type { Call, Included } from '../extrinsics/submit.ts'
import { bestBlockHash, countOf, entryOf, listOf, readStorage } from '../storage.ts'

const PALLET = 'subtensorModule'

export const isU16 = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= U16_MAX

/** @throws ChainError InvalidWeights for numbers that cannot be put into the call */
export function ensureSendable({ uids, weights, versionKey }: WeightsToSet): void {
  const isKey = typeof versionKey === 'bigint' || Number.isInteger(versionKey)
  const isU64 = isKey && BigInt.asUintN(64, BigInt(versionKey)) === BigInt(versionKey)
  if (!isU64 || ![...uids, ...weights].every(isU16)) throw new ChainError('InvalidWeights')
}

export function weightsCall(live: Live, row: WeightsToSet): Call {
  const setWeights = live.api.tx[PALLET]?.setWeights
  if (!setWeights) throw new ChainError('Unsupported', 'the call set_weights is missing')
  return setWeights(row.netuid, [...row.uids], [...row.weights], row.versionKey)
}

/** The row of a neuron as of the best block, in the order it was sent. */
export async function readWeights(live: Live, netuid: number, uid: number): Promise<WeightOf[]> {
  const read = { entry: entryOf(live.api, PALLET, 'weights'), args: [netuid, uid] }
  const [row] = await readStorage(live, await bestBlockHash(live), [read])
  return weightsIn(row)
}

/** The block in which a hotkey last set weights or registered; undefined when it is not registered. */
export async function readLastUpdate(live: Live, netuid: number, hotkey: string): Promise<number | undefined> {
  return (await readNeuron(live, await bestBlockHash(live), netuid, hotkey))?.lastUpdate
}

/** Whether the chain holds this row for the hotkey, set after block `since`; if so, where it was included. */
export async function findWeights(
  live: Live,
  row: WeightsToSet,
  hotkey: string,
  since: number,
): Promise<Included | undefined> {
  const at = await bestBlockHash(live)
  const neuron = await readNeuron(live, at, row.netuid, hotkey)
  if (!neuron || neuron.lastUpdate <= since) return undefined
  const [stored] = await readStorage(live, at, [
    { entry: entryOf(live.api, PALLET, 'weights'), args: [row.netuid, neuron.uid] },
  ])
  if (!isSameRow(weightsIn(stored), row)) return undefined
  return { block: neuron.lastUpdate, blockHash: await blockHashOf(live, neuron.lastUpdate) }
}

export const blockHashOf = async ({ rpc }: Live, block: number): Promise<string> =>
  hashOf(await rpc.send('chain_getBlockHash', [block]))

export async function readNeuron(
  live: Live,
  at: string,
  netuid: number,
  hotkey: string,
): Promise<{ uid: number; lastUpdate: number } | undefined> {
  const [uid, lastUpdates] = await readStorage(live, at, [
    { entry: entryOf(live.api, PALLET, 'uids'), args: [netuid, hotkey] },
    { entry: entryOf(live.api, PALLET, 'lastUpdate'), args: [netuid] },
  ])
  if (!uid) return undefined
  return { uid: countOf(uid), lastUpdate: countOf(listOf(lastUpdates)[countOf(uid)]) }
}

export const weightsIn = (row: Codec | null | undefined): WeightOf[] =>
  listOf(row).map(entry => {
    const [uid, weight] = listOf(entry)
    return { uid: countOf(uid), weight: countOf(weight) }
  })

/** The chain stores what was sent, upscaled, in the order sent. */
export function isSameRow(stored: readonly WeightOf[], { uids, weights }: WeightsToSet): boolean {
  const expected = upscaled(weights)
  return (
    stored.length === uids.length && stored.every(({ uid, weight }, i) => uid === uids[i] && weight === expected[i])
  )
}
