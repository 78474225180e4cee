import type { EventRecord } from '@polkadot/types/interfaces'
import type { CommitToFind } from '../../chain.ts'
import { decodeAddress, u8aToHex } from '../../polkadot/crypto.ts'
import { heightOf } from '../answers.ts'
import type { Live } from '../connection.ts'
import type { Included } from '../extrinsics/submit.ts'
import { bestBlockHash, entryOf, listOf, readStorage } from '../storage.ts'
import { unlessForgotten } from './forgotten-state.ts'
import { sealedIn } from './sealed-commits.ts'
import { blockHashOf, isSameRow, readNeuron, weightsIn } from './set-weights.ts'

const PALLET = 'subtensorModule'
const BYTES_OF_NETUID = 2

/** How a runtime says that a commit was revealed; those of sealed ones name no commit. */
const REVEALED = {
  hash: ['WeightsRevealed', 'WeightsBatchRevealed'],
  sealed: ['TimelockedWeightsRevealed', 'CRV3WeightsRevealed'],
} as const

/**
 * Returns where the chain set the weights of a commit that it holds no more; undefined when it dropped the commit without
 * setting them, or when weights of the same block replaced them at once. The evidence is the event of the block in which
 * the commit went: a row that looks alike may be an older one, and its date may be that of a younger commit. So a node that
 * has forgotten that block's state is no witness of a reveal either.
 */
export async function findReveal(live: Live, commit: CommitToFind, hotkey: string): Promise<Included | undefined> {
  const went = await blockItWent(live, commit, hotkey)
  if (went === undefined) return undefined
  const at = await blockHashOf(live, went)
  const [records] = await readStorage(live, at, [{ entry: entryOf(live.api, 'system', 'events'), args: [] }])
  if (!isRevealIn((records ?? []) as Iterable<EventRecord>, commit, hotkey)) return undefined
  const neuron = await readNeuron(live, at, commit.netuid, hotkey)
  if (!neuron) return undefined
  const weights = { entry: entryOf(live.api, PALLET, 'weights'), args: [commit.netuid, neuron.uid] }
  const [row] = await readStorage(live, at, [weights])
  return isSameRow(weightsIn(row), commit) ? { block: went, blockHash: at } : undefined
}

/** Whether the chain held a commit at its block; true where the node does not know that state any more. */
export async function heldCommit(live: Live, commit: CommitToFind, hotkey: string): Promise<boolean> {
  return (await holdsAt(live, commit.block, commit, hotkey)) !== false
}

function isRevealIn(records: Iterable<EventRecord>, commit: CommitToFind, hotkey: string): boolean {
  const names: readonly string[] = commit.isSealed ? REVEALED.sealed : REVEALED.hash
  const netuid = new Uint8Array(BYTES_OF_NETUID)
  new DataView(netuid.buffer).setUint16(0, commit.netuid, true)
  const wanted = [u8aToHex(decodeAddress(hotkey)), u8aToHex(netuid)]
  return [...records].some(({ event }) => {
    if (event.section !== PALLET || !names.includes(event.method)) return false
    const said = listOf(event.data).map(part => u8aToHex(part.toU8a()))
    // A batch says its hashes as a list.
    const isThis = commit.isSealed || said.some(part => part.includes(commit.hash.slice('0x'.length)))
    return isThis && wanted.every(part => said.includes(part))
  })
}

/**
 * The first block without the commit. Looks back from the best block in steps that double, then halves what lies
 * between. Undefined when the block before it can not be read any more.
 */
async function blockItWent(live: Live, commit: CommitToFind, hotkey: string): Promise<number | undefined> {
  const best = heightOf(await live.rpc.send('chain_getHeader', [await bestBlockHash(live)]))
  let without = best
  let step = 1
  let within = Math.max(commit.block, best - step)
  while ((await holdsAt(live, within, commit, hotkey)) === false) {
    if (within <= commit.block) return undefined
    without = within
    step *= 2
    within = Math.max(commit.block, without - step)
  }
  while (without - within > 1) {
    const middle = Math.floor((within + without) / 2)
    if ((await holdsAt(live, middle, commit, hotkey)) === false) without = middle
    else within = middle
  }
  return (await holdsAt(live, within, commit, hotkey)) ? without : undefined
}

/** Undefined when the node does not know that block's state any more. */
function holdsAt(live: Live, block: number, commit: CommitToFind, hotkey: string): Promise<boolean | undefined> {
  return unlessForgotten(async () => holds(live, await blockHashOf(live, block), commit, hotkey))
}

async function holds(live: Live, at: string, commit: CommitToFind, hotkey: string): Promise<boolean> {
  const { netuid, epoch, hash } = commit
  if (commit.isSealed) return (await sealedIn(live, at, { netuid, hotkey }, [epoch])).some(each => each.hash === hash)
  const entry = entryOf(live.api, PALLET, 'weightCommits')
  const [commits] = await readStorage(live, at, [{ entry, args: [netuid, hotkey] }])
  return listOf(commits).some(each => u8aToHex(listOf(each)[0]?.toU8a() ?? null) === hash)
}
