import type { Chain, CommitReveal, OpenCommit } from '@horde/chain/chain'
import { epochRange } from '@horde/chain/commits/epochs'
import { ChainError, type ChainErrorCode } from '@horde/chain/errors'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { TryLock } from '../db/lock.ts'
import { untilSaved } from '../db/until-saved.ts'
import {
  moveCommit,
  refuseSetting,
  settingsIn,
  settleSetting,
  takeBackCommit,
  type WeightSetting,
} from '../db/weight-settings.ts'
import { handoversIn } from '../scoring/handovers.ts'

/** When the chain announces no block time, and when there is no telling, in ms. */
const BLOCK_MS = 1_000
const UNKNOWN_MS = 60_000

/** These say that the chain has another commit, epoch or setting than a moment ago: the next look finds out. */
const LOOK_AGAIN: ReadonlySet<ChainErrorCode> = new Set<ChainErrorCode>([
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
 * Reveals what this hotkey has committed and is due now, oldest first; a reveal takes older commits with it. One that can
 * not be revealed any more is refused, and its batches are free again. Gives in how many ms to look again; undefined when
 * nothing waits.
 *
 * @throws ChainError when the chain could not be asked
 */
export async function revealWeights(netuid: number, deps: RevealDeps, stop: AbortSignal): Promise<number | undefined> {
  const waiting = () => settingsIn(deps.db, netuid, deps.hotkey.ss58, 'committed')
  if ((await waiting()).length === 0) return undefined
  await using lock = await deps.tryLock()
  if (!lock) return BLOCK_MS
  const signal = AbortSignal.any([stop, lock.lost])
  for (const setting of await waiting()) {
    signal.throwIfAborted()
    const againInMs = await revealOne(setting, deps, signal)
    // Younger commits are due later, or together with this one, and after it.
    if (againInMs !== undefined) return againInMs
  }
  return undefined
}

/** Undefined when the setting has ended, one way or the other; else in how many ms to look again. */
async function revealOne(setting: WeightSetting, deps: RevealDeps, signal: AbortSignal): Promise<number | undefined> {
  const state = await deps.chain.commitReveal(setting.netuid, deps.hotkey.ss58)
  const blockMs = state.blockMs || BLOCK_MS
  // A node that lags behind knows nothing of the commit yet.
  if (state.block < (setting.commitBlock ?? 0)) return blockMs
  const commit = [...state.commits, ...state.sealed].find(({ hash }) => hash === setting.commitHash)
  if (!commit) return endWithoutCommit(setting, blockMs, deps, signal)
  // Its block was replaced, and it is in another.
  if (commit.block > 0 && commit.block !== setting.commitBlock) await moveCommit(deps.db, setting.id, commit)
  const due = commit.epoch + state.revealPeriodEpochs
  if (!state.enabled) return refuse(setting, 'commit-reveal was switched off before the reveal', deps, signal)
  if (state.epochs.index > due) return refuse(setting, `its epoch, ${due}, is over without a reveal`, deps, signal)
  if (state.epochs.index < due) return msUntil(due, state, blockMs)
  // The chain opens sealed commits itself.
  if (setting.method === 'commit-timelocked') return blockMs
  return reveal(setting, commit, blockMs, deps, signal)
}

/** The epoch is the right one: now or never. */
async function reveal(
  setting: WeightSetting,
  { epoch }: OpenCommit,
  blockMs: number,
  deps: RevealDeps,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    const shown = await deps.chain.revealWeights({ ...setting, salt: setting.salt ?? [] }, deps.hotkey)
    await settle(setting, shown, deps, signal)
    return undefined
  } catch (error) {
    if (!(error instanceof ChainError)) throw error
    const { code, chainName, mayTakeEffect, retryable } = error
    if (!mayTakeEffect && !retryable && !LOOK_AGAIN.has(code)) return refuse(setting, error.message, deps, signal)
    deps.log.warn({ setting: setting.id, code, chainName, epoch }, 'weights not revealed, looking again')
    return blockMs
  }
}

/** The chain holds the commit no more: it was revealed, or it went without its weights. */
async function endWithoutCommit(
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
  const shown = await deps.chain.findReveal(commit, deps.hotkey.ss58)
  if (shown) return settle(setting, shown, deps, signal)
  if (!(await deps.chain.heldCommit(commit, deps.hotkey.ss58))) return takeBack(setting, deps)
  // It was missing on a fork that has lost since.
  const { commits, sealed } = await deps.chain.commitReveal(setting.netuid, deps.hotkey.ss58)
  if ([...commits, ...sealed].some(({ hash }) => hash === commit.hash)) return blockMs
  return refuse(setting, 'the chain dropped its commit without setting its weights', deps, signal)
}

/** Another block has replaced the one of the commit: it may yet come into a block, as one that was just sent. */
async function takeBack(setting: WeightSetting, { db, log }: RevealDeps): Promise<undefined> {
  await takeBackCommit(db, setting)
  const fields = { setting: setting.id, block: setting.commitBlock }
  log.warn(fields, 'the block of a weight commit was replaced, the chain will say what became of it')
}

async function settle(
  setting: WeightSetting,
  shown: { block: number; blockHash: string },
  deps: RevealDeps,
  signal: AbortSignal,
): Promise<undefined> {
  const { id, basis, batchIds } = setting
  const inclusion = { at: new Date(deps.clock.now()), ...shown }
  await untilSaved(() => settleSetting(deps.db, id, inclusion), deps, signal)
  deps.log.info({ setting: id, basis, batches: batchIds.length, block: shown.block }, 'weights revealed')
  await tellOfHandovers(setting, deps)
}

/** A row says uids: what one of them earned stands for whoever has it now. The chain takes the row all the same. */
async function tellOfHandovers(setting: WeightSetting, { chain, log }: RevealDeps): Promise<void> {
  try {
    const handovers = handoversIn(setting, await chain.metagraph(setting.netuid))
    if (handovers.length === 0) return
    log.warn({ setting: setting.id, handovers }, 'uids changed hands between the commit of weights and their reveal')
  } catch (err) {
    log.debug({ err, setting: setting.id }, 'nobody can say whether uids changed hands')
  }
}

async function refuse(
  { id, batchIds }: WeightSetting,
  why: string,
  deps: RevealDeps,
  signal: AbortSignal,
): Promise<undefined> {
  const refusal = { at: new Date(deps.clock.now()), why }
  await untilSaved(() => refuseSetting(deps.db, id, refusal), deps, signal)
  deps.log.error({ setting: id, batches: batchIds.length, why }, 'a commit was in vain, its batches are free')
}

/** Until the middle of the first block of an epoch to come. */
function msUntil(epoch: number, { block, epochs }: CommitReveal, blockMs: number): number {
  const range = epochRange(epochs, epoch)
  return range ? Math.max(1, range.first - block) * blockMs - blockMs / 2 : UNKNOWN_MS
}
