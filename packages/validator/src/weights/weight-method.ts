/** Chooses how to send weights to the chain: set them, commit a hash, or commit them encrypted for a round of drand. */
import type { Chain, CommitReveal, SealedWeights, WeightsToSet } from '@horde/chain/chain'
import { commitHash, newSalt } from '@horde/chain/commits/commit-hash'
import { blockToSealAt, receivesDrand, sealedCallOf, sealWeights } from '@horde/chain/commits/timelock'
import { ChainError } from '@horde/chain/errors'
import type { Hotkey } from '@horde/chain/wallet'
import type { Clock } from '@horde/kit/time'
import type { SettingMethod } from '../db/schema.ts'

/** The values of WEIGHTS_COMMIT_BY: the best that the chain offers, by hash, or encrypted for a round of drand. */
export const COMMITS_BY = ['auto', 'hash', 'timelock'] as const
export type CommitBy = (typeof COMMITS_BY)[number]

/** The most commits of each kind that the chain lets a hotkey have open. */
export const MAX_OPEN_COMMITS = 10

/** How weights are sent, and why, for people. */
export interface ChosenMethod {
  method: SettingMethod
  why: string
}

/** The chosen method, and what the chain's state means for it. */
export interface WeightMethod extends ChosenMethod {
  openCommits: number
  /** The block to wait for, because the chain might not open a commit that is made now. */
  waitUntilBlock: number | undefined
  state: CommitReveal
}

/** What identifies a setting on the chain, and what is needed to commit it. */
export interface CommitData {
  salt: number[] | null
  commitHash: string | null
  sealed?: SealedWeights
}

/**
 * Chooses the method by what the chain offers. `auto` prefers encrypted commits, because the chain opens them itself;
 * but not while the chain receives no rounds of drand, since it could not open any.
 *
 * @throws ChainError NoCommits when the subnet requires commits and the chain has no call for them
 */
export function chooseMethod(state: CommitReveal, commitBy: CommitBy, nowMs: number): ChosenMethod {
  if (!state.enabled) return { method: 'set', why: 'the subnet has no commit-reveal' }
  const byHash = state.calls.includes('commit_weights')
  const canSeal = sealedCallOf(state) !== undefined
  const hash = (why: string): ChosenMethod => ({ method: 'commit-hash', why })
  const sealed = (why: string): ChosenMethod => ({ method: 'commit-timelocked', why })
  if (!byHash && !canSeal) throw new ChainError('NoCommits')
  if (!canSeal) return hash('the chain has no sealed commits')
  if (!byHash) return sealed('the chain has no commits by hash')
  if (commitBy === 'hash') return hash('WEIGHTS_COMMIT_BY=hash: this validator reveals them in their epoch')
  if (commitBy === 'timelock') return sealed('WEIGHTS_COMMIT_BY=timelock: the chain opens them itself')
  if (receivesDrand(state, nowMs)) return sealed('the chain opens them itself, even if this validator is down then')
  return hash('the chain has received no round of drand for ten minutes, so it could not open sealed ones')
}

/**
 * Reads the chain's state and chooses the method.
 * @throws ChainError NoCommits when the subnet requires commits and the chain has no call for them
 */
export async function weightMethod(
  netuid: number,
  commitBy: CommitBy,
  { chain, hotkey, clock }: { chain: Pick<Chain, 'commitReveal'>; hotkey: Hotkey; clock: Pick<Clock, 'now'> },
): Promise<WeightMethod> {
  const state = await chain.commitReveal(netuid, hotkey.ss58)
  const chosen = chooseMethod(state, commitBy, clock.now())
  if (chosen.method === 'set') return { ...chosen, openCommits: 0, waitUntilBlock: undefined, state }
  const { commits, sealed, epochs, revealPeriodEpochs } = state
  const isSealed = chosen.method === 'commit-timelocked'
  const open = (isSealed ? sealed : commits).filter(({ epoch }) => epoch + revealPeriodEpochs >= epochs.index)
  const waitUntilBlock = isSealed ? blockToSealAt(state) : undefined
  return { ...chosen, openCommits: open.length, waitUntilBlock, state }
}

/** Makes the salt and hash, or the encrypted commit, that a method needs for a row of weights. */
export function commitDataOf(
  row: WeightsToSet,
  { method, state }: WeightMethod,
  hotkey: Hotkey,
  nowMs: number,
): CommitData {
  if (method === 'set') return { salt: null, commitHash: null }
  if (method === 'commit-timelocked') {
    const sealed = sealWeights(row, hotkey.ss58, state, nowMs)
    return { salt: null, commitHash: sealed.hash, sealed }
  }
  const salt = newSalt()
  return { salt, commitHash: commitHash({ ...row, salt }, hotkey.ss58) }
}
