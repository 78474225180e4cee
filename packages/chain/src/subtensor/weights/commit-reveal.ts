import type { Codec } from '@polkadot/types/types'
import {
  type BlockRef,
  COMMIT_CALLS,
  type CommitCall,
  type CommitReveal,
  type OpenCommit,
  type WeightsToReveal,
} from '../../chain.ts'
import { commitHash } from '../../commits/commit-hash.ts'
import { type Epochs, epochsByFormula, epochsByState, indexByFormula } from '../../commits/epochs.ts'
import { ChainError } from '../../errors.ts'
import { hexToU8a, u8aToHex } from '../../polkadot/crypto.ts'
import { bestBlockHash, blockHashOf } from '../blocks.ts'
import type { NodeConnection } from '../connection.ts'
import { type Call, ERA_BLOCKS } from '../extrinsics/submit.ts'
import { RpcError } from '../rpc.ts'
import { boolOf, countOf, findEntry, listOf, readStorage, unlessPruned } from '../storage.ts'
import { findReveal } from './find-reveal.ts'
import { readSealed } from './sealed-commits.ts'
import { ensureSendable, isU16 } from './set-weights.ts'

const PALLET = 'subtensorModule'
const NEXT_EPOCH = 'SubnetInfoRuntimeApi_get_next_epoch_start_block'
/** Error codes of a node whose runtime has no such call, and of a node that offers no runtime calls at all. */
const NO_SUCH_CALL: ReadonlySet<number> = new Set([4003, -32_601])

/** Items with one value for each subnet. Older chains lack some of them. */
const OF_SUBNET = [
  'networksAdded',
  'tempo',
  'commitRevealWeightsEnabled',
  'revealPeriodEpochs',
  'subnetEpochIndex',
  'lastEpochBlock',
  'pendingEpochAt',
] as const

/** The version of sealed commits on chains that do not name one. */
const DEFAULT_SEALED_VERSION = 4
type Item = (typeof OF_SUBNET)[number] | 'number' | 'weightCommits' | 'commitRevealWeightsVersion' | 'lastStoredRound'

/**
 * Reads a subnet's commit-reveal settings and a hotkey's commits, at a block (its hash) or at the best block.
 * @throws ChainError SubnetNotFound
 */
export async function readCommitReveal(
  node: NodeConnection,
  netuid: number,
  hotkey: string,
  block?: string,
): Promise<CommitReveal> {
  const at = block ?? (await bestBlockHash(node))
  const items = await readItems(node, at, netuid, hotkey)
  if (!boolOf(items.get('networksAdded'))) throw new ChainError('SubnetNotFound', `netuid ${netuid}`)
  const tempo = countOf(items.get('tempo'))
  const revealPeriodEpochs = items.has('revealPeriodEpochs') ? countOf(items.get('revealPeriodEpochs')) : 1
  const epochs = await epochsOf(node, at, netuid, items)
  return {
    netuid,
    block: countOf(items.get('number')),
    enabled: boolOf(items.get('commitRevealWeightsEnabled')),
    ...{ revealPeriodEpochs, epochs },
    blockMs: 2 * countOf(node.api.consts.timestamp?.minimumPeriod),
    calls: callsOf(node),
    commits: listOf(items.get('weightCommits')).map(commit => openCommit(commit, netuid, tempo)),
    sealed: await readSealed(node, at, { netuid, hotkey }),
    sealedVersion: countOf(items.get('commitRevealWeightsVersion')) || DEFAULT_SEALED_VERSION,
    drandRound: items.has('lastStoredRound') ? countOf(items.get('lastStoredRound')) : null,
  }
}

/** Lists the commit calls that the chain's metadata has. */
const callsOf = ({ api }: NodeConnection): CommitCall[] =>
  COMMIT_CALLS.filter(call => api.tx[PALLET]?.[call.replace(/_([a-z0-9])/g, (_, first) => first.toUpperCase())])

/**
 * Decodes a stored commit. Since spec 423 it is (hash, epoch, block, 0). Before, it was (hash, block, first and last
 * block of its reveal), and the epoch follows from the block.
 */
export function openCommit(commit: Codec, netuid: number, tempo: number): OpenCommit {
  const [hash, second, third, fourth] = listOf(commit)
  const hex = u8aToHex(hash?.toU8a() ?? null)
  if (countOf(fourth) === 0) return { hash: hex, epoch: countOf(second), block: countOf(third) }
  return { hash: hex, epoch: indexByFormula(netuid, tempo, countOf(second)), block: countOf(second) }
}

/** Computes a subnet's epochs from stored items. */
async function epochsOf(
  node: NodeConnection,
  at: string,
  netuid: number,
  items: Map<Item, Codec | null>,
): Promise<Epochs> {
  const count = (item: Item): number => countOf(items.get(item))
  if (!items.has('subnetEpochIndex')) return epochsByFormula(netuid, count('tempo'), count('number'))
  return epochsByState(netuid, count('number'), {
    tempo: count('tempo'),
    epochIndex: count('subnetEpochIndex'),
    lastEpochBlock: count('lastEpochBlock'),
    pendingEpochAt: count('pendingEpochAt'),
    announcedBlock: await announcedEpoch(node, at, netuid),
  })
}

/** Asks the runtime for the first block of the next epoch; null when the runtime or the node cannot answer that. */
async function announcedEpoch({ rpc, api }: NodeConnection, at: string, netuid: number): Promise<number | null> {
  try {
    const input = u8aToHex(api.registry.createType('u16', netuid).toU8a())
    const answer = await rpc.send<string>('state_call', [NEXT_EPOCH, input, at])
    const announced = api.registry.createType('Option<u64>', hexToU8a(answer))
    return announced.isSome ? countOf(announced.unwrap()) : null
  } catch (error) {
    if (error instanceof RpcError && NO_SUCH_CALL.has(error.code)) return null
    throw error
  }
}

async function readItems(
  node: NodeConnection,
  at: string,
  netuid: number,
  hotkey: string,
): Promise<Map<Item, Codec | null>> {
  const wanted: [Item, string, unknown[]][] = [
    ['number', 'system', []],
    ['weightCommits', PALLET, [netuid, hotkey]],
    ['commitRevealWeightsVersion', PALLET, []],
    ['lastStoredRound', 'drand', []],
    ...OF_SUBNET.map((item): [Item, string, unknown[]] => [item, PALLET, [netuid]]),
  ]
  const reads = wanted.flatMap(([item, pallet, args]) => {
    const entry = findEntry(node.api, pallet, item)
    return entry ? [{ item, entry, args }] : []
  })
  const values = await readStorage(node, at, reads)
  return new Map(reads.map(({ item }, i) => [item, values[i] ?? null]))
}

/** Builds the call that commits weights by hash. @throws ChainError Unsupported */
export function commitCall(node: NodeConnection, netuid: number, hash: string): Call {
  const commitWeights = node.api.tx[PALLET]?.commitWeights
  if (!commitWeights) throw new ChainError('Unsupported', 'the runtime has no call commit_weights')
  return commitWeights(netuid, hash)
}

/**
 * Finds a commit by its hash. With `after`, the block after which it was sent, it also finds a commit that the chain
 * has opened or dropped since: the chain must have held it within the extrinsic's era. Undefined also when the node has
 * pruned the state of that time.
 */
export async function findCommit(
  node: NodeConnection,
  netuid: number,
  hash: string,
  hotkey: string,
  after?: number,
): Promise<OpenCommit | undefined> {
  const now = await readCommitReveal(node, netuid, hotkey)
  const held = heldIn(now, hash)
  if (held || after === undefined || now.block <= after + ERA_BLOCKS) return held
  for (let block = after + ERA_BLOCKS; block > after; block -= 1) {
    const at = await blockHashOf(node, block)
    const past = await unlessPruned(() => readCommitReveal(node, netuid, hotkey, at))
    // The node has pruned all earlier states, too.
    if (!past) return undefined
    const found = heldIn(past, hash)
    if (found) return found
  }
  return undefined
}

/** Finds a commit among those held. Older sealed commits store no block; it then returns the block it was read at. */
function heldIn({ commits, sealed, block }: CommitReveal, hash: string): OpenCommit | undefined {
  const found = [...commits, ...sealed].find(commit => commit.hash === hash)
  return found && { ...found, block: found.block || block }
}

/** Returns the block that included a commit which the chain still holds. */
export async function findHeldCommit(
  node: NodeConnection,
  netuid: number,
  hash: string,
  hotkey: string,
): Promise<BlockRef | undefined> {
  const held = await findCommit(node, netuid, hash, hotkey)
  return held && { block: held.block, blockHash: await blockHashOf(node, held.block) }
}

/** Checks that a reveal can be encoded. @throws ChainError InvalidWeights for numbers that the call cannot hold */
export function ensureRevealable(row: WeightsToReveal): void {
  ensureSendable(row)
  if (!row.salt.every(isU16)) throw new ChainError('InvalidWeights', 'the salt')
}

/** Builds the call that reveals weights. @throws ChainError Unsupported */
export function revealCall(node: NodeConnection, row: WeightsToReveal): Call {
  const revealWeights = node.api.tx[PALLET]?.revealWeights
  if (!revealWeights) throw new ChainError('Unsupported', 'the runtime has no call reveal_weights')
  const { netuid, uids, weights, salt, versionKey } = row
  return revealWeights(netuid, [...uids], [...weights], [...salt], versionKey)
}

/** Returns the block of a reveal that was sent after block `after`, at which the chain still held the commit. */
export async function findRevealed(
  node: NodeConnection,
  row: WeightsToReveal,
  hotkey: string,
  after: number,
): Promise<BlockRef | undefined> {
  const { commits } = await readCommitReveal(node, row.netuid, hotkey)
  const hash = commitHash(row, hotkey)
  if (commits.some(commit => commit.hash === hash)) return undefined
  return findReveal(node, { ...row, hash, isSealed: false, epoch: 0, block: after }, hotkey)
}
