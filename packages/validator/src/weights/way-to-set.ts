import type { Chain, CommitReveal, SealedWeights, WeightsToSet } from '@horde/chain/chain'
import { commitHash, newSalt } from '@horde/chain/commits/commit-hash'
import { sealableFrom, sealWeights } from '@horde/chain/commits/timelock'
import type { Hotkey } from '@horde/chain/wallet'
import type { Clock } from '@horde/kit/time'
import type { SettingMethod } from '../db/schema.ts'
import { type CommitBy, chooseMethod } from './commit-by.ts'

/** Commits of each kind that a hotkey may have open at once; the chain takes no more. */
export const MAX_OPEN_COMMITS = 10

/** How the chain is to be told, as it stands now. */
export interface Way {
  method: SettingMethod
  /** Why by this method, for people. */
  why: string
  openCommits: number
  /** The block to wait for, when a commit that is made now might not be opened. */
  waitUntilBlock: number | undefined
  state: CommitReveal
}

/** @throws ChainError NoCommits when the subnet wants commits and the chain has no call for them */
export async function wayToSet(
  netuid: number,
  commitBy: CommitBy,
  { chain, hotkey, clock }: { chain: Pick<Chain, 'commitReveal'>; hotkey: Hotkey; clock: Pick<Clock, 'now'> },
): Promise<Way> {
  const state = await chain.commitReveal(netuid, hotkey.ss58)
  const chosen = chooseMethod(state, commitBy, clock.now())
  if (chosen.method === 'set') return { ...chosen, openCommits: 0, waitUntilBlock: undefined, state }
  const { commits, sealed, epochs, revealPeriodEpochs } = state
  const isSealed = chosen.method === 'commit-timelocked'
  const open = (isSealed ? sealed : commits).filter(({ epoch }) => epoch + revealPeriodEpochs >= epochs.index)
  const waitUntilBlock = isSealed ? sealableFrom(state) : undefined
  return { ...chosen, openCommits: open.length, waitUntilBlock, state }
}

/** What a setting is told to the chain by, and found again by. */
export interface Telling {
  salt: number[] | null
  commitHash: string | null
  sealed?: SealedWeights
}

export function tellingOf(row: WeightsToSet, { method, state }: Way, hotkey: Hotkey, nowMs: number): Telling {
  if (method === 'set') return { salt: null, commitHash: null }
  if (method === 'commit-timelocked') {
    const sealed = sealWeights(row, hotkey.ss58, state, nowMs)
    return { salt: null, commitHash: sealed.hash, sealed }
  }
  const salt = newSalt()
  return { salt, commitHash: commitHash({ ...row, salt }, hotkey.ss58) }
}
