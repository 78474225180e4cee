import type { BlockRef, Chain, CommitReveal, OpenCommit } from '@horde/chain/chain'
import { epochRange } from '@horde/chain/commits/epochs'
import { ChainError, type ChainErrorCode } from '@horde/chain/errors'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { untilSaved } from '../db/journal.ts'
import type { TryLock } from '../db/lock.ts'
import {
  moveCommit,
  refuseSetting,
  settingsIn,
  settleSetting,
  takeBackCommit,
  type WeightSetting,
} from '../db/weight-settings.ts'
import { handoversIn } from './plan-weights.ts'

/** The block time to assume on a chain that announces none, in ms. */
const DEFAULT_BLOCK_MS = 1_000
/** When to check again if the epoch of the reveal cannot be predicted, in ms. */
const UNKNOWN_EPOCH_MS = 60_000

/** Errors that mean that the chain's state has just changed. The next check reads the new state. */
const STATE_CHANGED: ReadonlySet<ChainErrorCode> = new Set<ChainErrorCode>([
  'CommitNotFound',
  'CommitMismatch',
  'CommitExpired',
  'CommitRevealDisabled',
])

export interface RevealDeps {
  chain: Pick<Chain, 'commitReveal' | 'revealWeights' | 'findReveal' | 'heldCommit' | 'metagraph'>
  hotkey: Hotkey
  db: Database
  tryLock: TryLock
  clock: Clock
  log: Log
}

/**
 * Reveals this hotkey's commits that are due, the oldest first, because a reveal drops older commits. Marks a commit
 * that can no longer be revealed as refused, and its batches as unscored. Returns in how many ms to call it again;
 * undefined if there are no open commits.
 *
 * @throws ChainError when the chain cannot be read
 */
export async function revealWeights(netuid: number, deps: RevealDeps, stop: AbortSignal): Promise<number | undefined> {
  const committed = () => settingsIn(deps.db, netuid, deps.hotkey.ss58, 'committed')
  if ((await committed()).length === 0) return undefined
  await using lock = await deps.tryLock()
  if (!lock) return DEFAULT_BLOCK_MS
  const signal = AbortSignal.any([stop, lock.lost])
  for (const setting of await committed()) {
    signal.throwIfAborted()
    const againInMs = await revealOne(setting, deps, signal)
    // Later commits are due at the same time or later, so they have to wait as well.
    if (againInMs !== undefined) return againInMs
  }
  return undefined
}

/**
 * Handles one commit. Returns undefined once its setting is included or refused, else in how many ms to check again.
 */
async function revealOne(setting: WeightSetting, deps: RevealDeps, signal: AbortSignal): Promise<number | undefined> {
  const state = await deps.chain.commitReveal(setting.netuid, deps.hotkey.ss58)
  const blockMs = state.blockMs || DEFAULT_BLOCK_MS
  // This node lags behind and does not have the commit yet.
  if (state.block < (setting.commitBlock ?? 0)) return blockMs
  const commit = [...state.commits, ...state.sealed].find(({ hash }) => hash === setting.commitHash)
  if (!commit) return handleMissingCommit(setting, blockMs, deps, signal)
  // A fork replaced its block, and another block includes it.
  if (commit.block > 0 && commit.block !== setting.commitBlock) await moveCommit(deps.db, setting.id, commit)
  const due = commit.epoch + state.revealPeriodEpochs
  if (!state.enabled) return refuse(setting, 'commit-reveal was switched off before the reveal', deps, signal)
  if (state.epochs.index > due) return refuse(setting, `epoch ${due} ended before the reveal`, deps, signal)
  if (state.epochs.index < due) return msUntil(due, state, blockMs)
  // The chain opens sealed commits itself.
  if (setting.method === 'commit-timelocked') return blockMs
  return reveal(setting, commit, blockMs, deps, signal)
}

/** Reveals a commit, which is possible only in the current epoch. */
async function reveal(
  setting: WeightSetting,
  { epoch }: OpenCommit,
  blockMs: number,
  deps: RevealDeps,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    const included = await deps.chain.revealWeights({ ...setting, salt: setting.salt ?? [] }, deps.hotkey)
    await saveReveal(setting, included, deps, signal)
    return undefined
  } catch (error) {
    if (!(error instanceof ChainError)) throw error
    const { code, chainName, mayTakeEffect, retryable } = error
    if (!mayTakeEffect && !retryable && !STATE_CHANGED.has(code)) return refuse(setting, error.message, deps, signal)
    deps.log.warn({ setting: setting.id, code, chainName, epoch }, 'weights not revealed, trying again')
    return blockMs
  }
}

/** Finds out why the chain no longer holds a commit: it was revealed, dropped, or lost with a replaced block. */
async function handleMissingCommit(
  setting: WeightSetting,
  blockMs: number,
  deps: RevealDeps,
  signal: AbortSignal,
): Promise<number | undefined> {
  const commit = {
    ...setting,
    hash: setting.commitHash ?? '',
    isSealed: setting.method === 'commit-timelocked',
    epoch: Number(setting.commitEpoch ?? 0),
    block: setting.commitBlock ?? 0,
  }
  const included = await deps.chain.findReveal(commit, deps.hotkey.ss58)
  if (included) return saveReveal(setting, included, deps, signal)
  if (!(await deps.chain.heldCommit(commit, deps.hotkey.ss58))) return planAgain(setting, deps)
  // The first read may have come from a fork that has lost since.
  const { commits, sealed } = await deps.chain.commitReveal(setting.netuid, deps.hotkey.ss58)
  if ([...commits, ...sealed].some(({ hash }) => hash === commit.hash)) return blockMs
  return refuse(setting, 'the chain dropped the commit without setting its weights', deps, signal)
}

/** Makes a commit planned again whose block was replaced. Another block may still include it. */
async function planAgain(setting: WeightSetting, { db, log }: RevealDeps): Promise<undefined> {
  await takeBackCommit(db, setting)
  const fields = { setting: setting.id, block: setting.commitBlock }
  log.warn(fields, 'a fork replaced the block of the weight commit; it is pending again')
}

/** Saves that a block has set a commit's weights. */
async function saveReveal(
  setting: WeightSetting,
  included: BlockRef,
  deps: RevealDeps,
  signal: AbortSignal,
): Promise<undefined> {
  const { id, basis, batchIds } = setting
  const inclusion = { at: new Date(deps.clock.now()), ...included }
  await untilSaved(() => settleSetting(deps.db, id, inclusion), deps, signal)
  deps.log.info({ setting: id, basis, batches: batchIds.length, block: included.block }, 'weights revealed')
  await warnOfHandovers(setting, deps)
}

/** Warns if a uid of the row has another hotkey by now, which then holds the weight that the former hotkey earned. */
async function warnOfHandovers(setting: WeightSetting, { chain, log }: RevealDeps): Promise<void> {
  try {
    const handovers = handoversIn(setting, await chain.metagraph(setting.netuid))
    if (handovers.length === 0) return
    log.warn(
      { setting: setting.id, handovers },
      'uids changed hotkeys between the commit of the weights and the reveal',
    )
  } catch (err) {
    log.debug({ err, setting: setting.id }, 'could not check whether uids changed hotkeys')
  }
}

/** Marks the setting as refused and its batches as unscored. */
async function refuse(
  { id, batchIds }: WeightSetting,
  why: string,
  deps: RevealDeps,
  signal: AbortSignal,
): Promise<undefined> {
  const refusal = { at: new Date(deps.clock.now()), why }
  await untilSaved(() => refuseSetting(deps.db, id, refusal), deps, signal)
  deps.log.error(
    { setting: id, batches: batchIds.length, why },
    'weight commit failed; its batches will be scored again',
  )
}

/** Returns the time until the middle of the first block of a later epoch, in ms. */
function msUntil(epoch: number, { block, epochs }: CommitReveal, blockMs: number): number {
  const range = epochRange(epochs, epoch)
  return range ? Math.max(1, range.first - block) * blockMs - blockMs / 2 : UNKNOWN_EPOCH_MS
}
