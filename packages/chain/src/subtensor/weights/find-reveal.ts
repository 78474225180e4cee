import type { EventRecord } from '@polkadot/types/interfaces'
import type { BlockRef, CommitToFind } from '../../chain.ts'
import { decodeAddress, u8aToHex } from '../../polkadot/crypto.ts'
import { bestBlockHash, blockHashOf } from '../blocks.ts'
import type { NodeConnection } from '../connection.ts'
import { heightIn } from '../rpc.ts'
import { entryOf, listOf, readStorage, unlessPruned } from '../storage.ts'
import { readSealedOf } from './sealed-commits.ts'
import { isSameRow, readNeuron, weightsIn } from './set-weights.ts'

const PALLET = 'subtensorModule'
const BYTES_OF_NETUID = 2

/** The events by which a runtime reports a reveal. Events of sealed commits do not say which commit. */
const REVEAL_EVENTS = {
  hash: ['WeightsRevealed', 'WeightsBatchRevealed'],
  sealed: ['TimelockedWeightsRevealed', 'CRV3WeightsRevealed'],
} as const

/**
 * Returns the block that set the weights of a commit which the chain no longer holds. Undefined when the chain dropped
 * the commit without setting them, when other weights in the same block replaced them, or when the node has pruned the
 * state of that block.
 *
 * The evidence is the reveal event in the block that removed the commit. An equal row is no evidence: an older setting
 * may have left it, and a younger commit may have updated its date.
 */
export async function findReveal(
  node: NodeConnection,
  commit: CommitToFind,
  hotkey: string,
): Promise<BlockRef | undefined> {
  const block = await findRemoval(node, commit, hotkey)
  if (block === undefined) return undefined
  const at = await blockHashOf(node, block)
  const [records] = await readStorage(node, at, [{ entry: entryOf(node.api, 'system', 'events'), args: [] }])
  if (!isRevealIn((records ?? []) as Iterable<EventRecord>, commit, hotkey)) return undefined
  const neuron = await readNeuron(node, at, commit.netuid, hotkey)
  if (!neuron) return undefined
  const weights = { entry: entryOf(node.api, PALLET, 'weights'), args: [commit.netuid, neuron.uid] }
  const [row] = await readStorage(node, at, [weights])
  return isSameRow(weightsIn(row), commit) ? { block, blockHash: at } : undefined
}

/** Returns whether the chain held a commit at its block; true if the node has pruned that state. */
export async function heldCommit(node: NodeConnection, commit: CommitToFind, hotkey: string): Promise<boolean> {
  return (await holdsAt(node, commit.block, commit, hotkey)) !== false
}

/** Returns whether one of the events reports the reveal of this hotkey's commit. */
function isRevealIn(records: Iterable<EventRecord>, commit: CommitToFind, hotkey: string): boolean {
  const names: readonly string[] = commit.isSealed ? REVEAL_EVENTS.sealed : REVEAL_EVENTS.hash
  const netuid = new Uint8Array(BYTES_OF_NETUID)
  new DataView(netuid.buffer).setUint16(0, commit.netuid, true)
  const wanted = [u8aToHex(decodeAddress(hotkey)), u8aToHex(netuid)]
  return [...records].some(({ event }) => {
    if (event.section !== PALLET || !names.includes(event.method)) return false
    const fields = listOf(event.data).map(field => u8aToHex(field.toU8a()))
    // The event of a batch has a list of hashes, so the field contains the hash.
    const isThis = commit.isSealed || fields.some(field => field.includes(commit.hash.slice('0x'.length)))
    return isThis && wanted.every(field => fields.includes(field))
  })
}

/**
 * Returns the block that removed the commit: the first without it. Searches back from the best block in doubling steps,
 * then bisects. Undefined when the state of the block before it has been pruned.
 */
async function findRemoval(node: NodeConnection, commit: CommitToFind, hotkey: string): Promise<number | undefined> {
  const best = heightIn(await node.rpc.send('chain_getHeader', [await bestBlockHash(node)]))
  let without = best
  let step = 1
  let holding = Math.max(commit.block, best - step)
  while ((await holdsAt(node, holding, commit, hotkey)) === false) {
    if (holding <= commit.block) return undefined
    without = holding
    step *= 2
    holding = Math.max(commit.block, without - step)
  }
  while (without - holding > 1) {
    const middle = Math.floor((holding + without) / 2)
    if ((await holdsAt(node, middle, commit, hotkey)) === false) without = middle
    else holding = middle
  }
  return (await holdsAt(node, holding, commit, hotkey)) ? without : undefined
}

/** Returns whether the chain held the commit at a block; undefined when the node has pruned that state. */
async function holdsAt(
  node: NodeConnection,
  block: number,
  commit: CommitToFind,
  hotkey: string,
): Promise<boolean | undefined> {
  return unlessPruned(async () => holds(node, await blockHashOf(node, block), commit, hotkey))
}

async function holds(node: NodeConnection, at: string, commit: CommitToFind, hotkey: string): Promise<boolean> {
  const { netuid, epoch, hash } = commit
  if (commit.isSealed) {
    return (await readSealedOf(node, at, { netuid, hotkey }, [epoch])).some(each => each.hash === hash)
  }
  const entry = entryOf(node.api, PALLET, 'weightCommits')
  const [commits] = await readStorage(node, at, [{ entry, args: [netuid, hotkey] }])
  return listOf(commits).some(each => u8aToHex(listOf(each)[0]?.toU8a() ?? null) === hash)
}
