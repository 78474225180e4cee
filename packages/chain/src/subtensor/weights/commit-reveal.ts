import type { Codec } from '@polkadot/types/types'
import { COMMIT_CALLS, type CommitCall, type CommitReveal, type OpenCommit, type WeightsToReveal } from '../../chain.ts'
import { commitHash } from '../../commits/commit-hash.ts'
import { type Epochs, epochsByFormula, epochsByState, indexByFormula } from '../../commits/epochs.ts'
import { ChainError } from '../../errors.ts'
import { hexToU8a, u8aToHex } from '../../polkadot/crypto.ts'
import type { Live } from '../connection.ts'
import { type Call, ERA_BLOCKS, type Included } from '../extrinsics/submit.ts'
import { RpcError } from '../rpc.ts'
import { bestBlockHash, boolOf, countOf, findEntry, listOf, readStorage } from '../storage.ts'
import { findReveal } from './find-reveal.ts'
import { unlessForgotten } from './forgotten-state.ts'
import { readSealed } from './sealed-commits.ts'
import { blockHashOf, ensureSendable, isU16 } from './set-weights.ts'

const PALLET = 'subtensorModule'
const NEXT_EPOCH = 'SubnetInfoRuntimeApi_get_next_epoch_start_block'
/** The codes by which a node says that its runtime has no such call, or that it makes no calls at all. */
const NO_SUCH_CALL: ReadonlySet<number> = new Set([4003, -32_601])

/** The items of one reading. A chain that lacks one does without what it says. */
const OF_SUBNET = [
  'networksAdded',
  'tempo',
  'commitRevealWeightsEnabled',
  'revealPeriodEpochs',
  'subnetEpochIndex',
  'lastEpochBlock',
  'pendingEpochAt',
] as const

/** What chains expect that do not say it. */
const SEALED_VERSION = 4
type Item = (typeof OF_SUBNET)[number] | 'number' | 'weightCommits' | 'commitRevealWeightsVersion' | 'lastStoredRound'

/** @throws ChainError SubnetNotFound */
export async function readCommitReveal(
  live: Live,
  netuid: number,
  hotkey: string,
  block?: string,
): Promise<CommitReveal> {
  const at = block ?? (await bestBlockHash(live))
  const items = await readItems(live, at, netuid, hotkey)
  if (!boolOf(items.get('networksAdded'))) throw new ChainError('SubnetNotFound', `netuid ${netuid}`)
  const tempo = countOf(items.get('tempo'))
  const revealPeriodEpochs = items.has('revealPeriodEpochs') ? countOf(items.get('revealPeriodEpochs')) : 1
  const epochs = await epochsOf(live, at, netuid, items)
  return {
    netuid,
    block: countOf(items.get('number')),
    enabled: boolOf(items.get('commitRevealWeightsEnabled')),
    ...{ revealPeriodEpochs, epochs },
    blockMs: 2 * countOf(live.api.consts.timestamp?.minimumPeriod),
    calls: callsOf(live),
    commits: listOf(items.get('weightCommits')).map(commit => openCommit(commit, netuid, tempo)),
    sealed: await readSealed(live, at, { netuid, hotkey }),
    sealedVersion: countOf(items.get('commitRevealWeightsVersion')) || SEALED_VERSION,
    drandRound: items.has('lastStoredRound') ? countOf(items.get('lastStoredRound')) : null,
  }
}

/** Which calls the chain's metadata has. */
const callsOf = ({ api }: Live): CommitCall[] =>
  COMMIT_CALLS.filter(call => api.tx[PALLET]?.[call.replace(/_([a-z0-9])/g, (_, first) => first.toUpperCase())])

/**
 * A commit as the chain keeps it: (hash, epoch, block, 0) today; before spec 423 (hash, block, first and last block of its
 * reveal), and the epoch follows from the block.
 */
export function openCommit(commit: Codec, netuid: number, tempo: number): OpenCommit {
  const [hash, second, third, fourth] = listOf(commit)
  const hex = u8aToHex(hash?.toU8a() ?? null)
  if (countOf(fourth) === 0) return { hash: hex, epoch: countOf(second), block: countOf(third) }
  return { hash: hex, epoch: indexByFormula(netuid, tempo, countOf(second)), block: countOf(second) }
}

async function epochsOf(live: Live, at: string, netuid: number, items: Map<Item, Codec | null>): Promise<Epochs> {
  const count = (item: Item): number => countOf(items.get(item))
  if (!items.has('subnetEpochIndex')) return epochsByFormula(netuid, count('tempo'), count('number'))
  return epochsByState(netuid, count('number'), {
    tempo: count('tempo'),
    epochIndex: count('subnetEpochIndex'),
    lastEpochBlock: count('lastEpochBlock'),
    pendingEpochAt: count('pendingEpochAt'),
    announcedBlock: await announcedEpoch(live, at, netuid),
  })
}

/** When the runtime itself says that the next epoch begins; null when it does not say. */
async function announcedEpoch({ rpc, api }: Live, at: string, netuid: number): Promise<number | null> {
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

async function readItems(live: Live, at: string, netuid: number, hotkey: string): Promise<Map<Item, Codec | null>> {
  const wanted: [Item, string, unknown[]][] = [
    ['number', 'system', []],
    ['weightCommits', PALLET, [netuid, hotkey]],
    ['commitRevealWeightsVersion', PALLET, []],
    ['lastStoredRound', 'drand', []],
    ...OF_SUBNET.map((item): [Item, string, unknown[]] => [item, PALLET, [netuid]]),
  ]
  const reads = wanted.flatMap(([item, pallet, args]) => {
    const entry = findEntry(live.api, pallet, item)
    return entry ? [{ item, entry, args }] : []
  })
  const values = await readStorage(live, at, reads)
  return new Map(reads.map(({ item }, i) => [item, values[i] ?? null]))
}

export function commitCall(live: Live, netuid: number, hash: string): Call {
  const commitWeights = live.api.tx[PALLET]?.commitWeights
  if (!commitWeights) throw new ChainError('Unsupported', 'the call commit_weights is missing')
  return commitWeights(netuid, hash)
}

/**
 * Where the chain took a commit in. With `after`, also a commit that the chain has opened or dropped since: it was sent
 * right after that block, so the chain held it at the end of the extrinsic's era, or soon before. Undefined also when the
 * node keeps no state of that time any more.
 */
export async function findCommit(
  live: Live,
  netuid: number,
  hash: string,
  hotkey: string,
  after?: number,
): Promise<OpenCommit | undefined> {
  const now = await readCommitReveal(live, netuid, hotkey)
  const held = heldIn(now, hash)
  if (held || after === undefined || now.block <= after + ERA_BLOCKS) return held
  for (let block = after + ERA_BLOCKS; block > after; block -= 1) {
    const at = await blockHashOf(live, block)
    const then = await unlessForgotten(() => readCommitReveal(live, netuid, hotkey, at))
    // It has discarded the earlier states, too.
    if (!then) return undefined
    const found = heldIn(then, hash)
    if (found) return found
  }
  return undefined
}

/** Older sealed commits do not say their block: a block at which the chain holds them stands for it. */
function heldIn({ commits, sealed, block }: CommitReveal, hash: string): OpenCommit | undefined {
  const found = [...commits, ...sealed].find(commit => commit.hash === hash)
  return found && { ...found, block: found.block || block }
}

/** Where the chain took a commit in, of those that it holds. */
export async function findHeldCommit(
  live: Live,
  netuid: number,
  hash: string,
  hotkey: string,
): Promise<Included | undefined> {
  const held = await findCommit(live, netuid, hash, hotkey)
  return held && { block: held.block, blockHash: await blockHashOf(live, held.block) }
}

/** @throws ChainError InvalidWeights for numbers that cannot be put into the call */
export function ensureRevealable(row: WeightsToReveal): void {
  ensureSendable(row)
  if (!row.salt.every(isU16)) throw new ChainError('InvalidWeights', 'the salt')
}

export function revealCall(live: Live, row: WeightsToReveal): Call {
  const revealWeights = live.api.tx[PALLET]?.revealWeights
  if (!revealWeights) throw new ChainError('Unsupported', 'the call reveal_weights is missing')
  const { netuid, uids, weights, salt, versionKey } = row
  return revealWeights(netuid, [...uids], [...weights], [...salt], versionKey)
}

/** Where the chain took a reveal in that was sent after a block, at which it held the commit. */
export async function findRevealed(
  live: Live,
  row: WeightsToReveal,
  hotkey: string,
  after: number,
): Promise<Included | undefined> {
  const { commits } = await readCommitReveal(live, row.netuid, hotkey)
  const hash = commitHash(row, hotkey)
  if (commits.some(commit => commit.hash === hash)) return undefined
  return findReveal(live, { ...row, hash, isSealed: false, epoch: 0, block: after }, hotkey)
}
