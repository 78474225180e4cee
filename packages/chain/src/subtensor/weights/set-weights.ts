import type { Codec } from '@polkadot/types/types'
import type { BlockRef, WeightOf, WeightsToSet } from '../../chain.ts'
import { ChainError } from '../../errors.ts'
import { upscaled } from '../../weights/row.ts'
import { U16_MAX } from '../../weights/sdk.ts'
import { bestBlockHash, blockHashOf } from '../blocks.ts'
import type { NodeConnection } from '../connection.ts'
import type { Call } from '../extrinsics/submit.ts'
import { countOf, entryOf, listOf, readStorage } from '../storage.ts'

const PALLET = 'subtensorModule'

/** Returns whether a number fits into a u16. */
export const isU16 = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= U16_MAX

/** Checks that a row can be encoded. @throws ChainError InvalidWeights for numbers that the call cannot hold */
export function ensureSendable({ uids, weights, versionKey }: WeightsToSet): void {
  const isKey = typeof versionKey === 'bigint' || Number.isInteger(versionKey)
  const isU64 = isKey && BigInt.asUintN(64, BigInt(versionKey)) === BigInt(versionKey)
  if (!isU64 || ![...uids, ...weights].every(isU16)) throw new ChainError('InvalidWeights')
}

/** Builds the call that sets weights. @throws ChainError Unsupported */
export function weightsCall(node: NodeConnection, row: WeightsToSet): Call {
  const setWeights = node.api.tx[PALLET]?.setWeights
  if (!setWeights) throw new ChainError('Unsupported', 'the runtime has no call set_weights')
  return setWeights(row.netuid, [...row.uids], [...row.weights], row.versionKey)
}

/** Reads a neuron's row of weights at the best block, in the order it was sent. */
export async function readWeights(node: NodeConnection, netuid: number, uid: number): Promise<WeightOf[]> {
  const read = { entry: entryOf(node.api, PALLET, 'weights'), args: [netuid, uid] }
  const [row] = await readStorage(node, await bestBlockHash(node), [read])
  return weightsIn(row)
}

/** Returns the block in which a hotkey last set weights or registered; undefined if it is not registered. */
export async function readLastUpdate(
  node: NodeConnection,
  netuid: number,
  hotkey: string,
): Promise<number | undefined> {
  return (await readNeuron(node, await bestBlockHash(node), netuid, hotkey))?.lastUpdate
}

/** Returns the block that set this row for the hotkey, if the chain holds it and set it after block `since`. */
export async function findWeights(
  node: NodeConnection,
  row: WeightsToSet,
  hotkey: string,
  since: number,
): Promise<BlockRef | undefined> {
  const at = await bestBlockHash(node)
  const neuron = await readNeuron(node, at, row.netuid, hotkey)
  if (!neuron || neuron.lastUpdate <= since) return undefined
  const [stored] = await readStorage(node, at, [
    { entry: entryOf(node.api, PALLET, 'weights'), args: [row.netuid, neuron.uid] },
  ])
  if (!isSameRow(weightsIn(stored), row)) return undefined
  return { block: neuron.lastUpdate, blockHash: await blockHashOf(node, neuron.lastUpdate) }
}

/** Reads a hotkey's uid and the block of its last update; undefined if it is not registered. */
export async function readNeuron(
  node: NodeConnection,
  at: string,
  netuid: number,
  hotkey: string,
): Promise<{ uid: number; lastUpdate: number } | undefined> {
  const [uid, lastUpdates] = await readStorage(node, at, [
    { entry: entryOf(node.api, PALLET, 'uids'), args: [netuid, hotkey] },
    { entry: entryOf(node.api, PALLET, 'lastUpdate'), args: [netuid] },
  ])
  if (!uid) return undefined
  return { uid: countOf(uid), lastUpdate: countOf(listOf(lastUpdates)[countOf(uid)]) }
}

/** Decodes a stored row of weights. */
export const weightsIn = (row: Codec | null | undefined): WeightOf[] =>
  listOf(row).map(entry => {
    const [uid, weight] = listOf(entry)
    return { uid: countOf(uid), weight: countOf(weight) }
  })

/** Returns whether a stored row is the one that was sent. The chain stores rows upscaled, in the order sent. */
export function isSameRow(stored: readonly WeightOf[], { uids, weights }: WeightsToSet): boolean {
  const expected = upscaled(weights)
  return (
    stored.length === uids.length && stored.every(({ uid, weight }, i) => uid === uids[i] && weight === expected[i])
  )
}
