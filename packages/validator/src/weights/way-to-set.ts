import type { Chain, CommitReveal, SealedWeights, WeightsToSet } from '@horde/chain/chain'
import { commitHash, newSalt } from '@horde/chain/commits/commit-hash'
import { sealedCallOf, sealWeights } from '@horde/chain/commits/timelock'
import { ChainError } from '@horde/chain/errors'
import type { Hotkey } from '@horde/chain/wallet'
import type { SettingMethod } from '../db/schema.ts'
import type { CommitBy } from './commit-by.ts'

/** Commits of each kind that a hotkey may have open at once; the chain takes no more. */
export const MAX_OPEN_COMMITS = 10

/** How the chain is to be told, as it stands now. */
export interface Way {
  method: SettingMethod
  openCommits: number
  state: CommitReveal
}

/** @throws ChainError NoCommits when the subnet wants commits and the chain has no call for them */
export async function wayToSet(
  netuid: number,
  commitBy: CommitBy,
  { chain, hotkey }: { chain: Pick<Chain, 'commitReveal'>; hotkey: Hotkey },
): Promise<Way> {
  const state = await chain.commitReveal(netuid, hotkey.ss58)
  const { enabled, commits, sealed, epochs, revealPeriodEpochs } = state
  if (!enabled) return { method: 'set', openCommits: 0, state }
  const method = methodOf(state, commitBy)
  const open = (method === 'commit-hash' ? commits : sealed).filter(
    ({ epoch }) => epoch + revealPeriodEpochs >= epochs.index,
  )
  return { method, openCommits: open.length, state }
}

function methodOf(state: CommitReveal, commitBy: CommitBy): SettingMethod {
  const byHash = state.calls.includes('commit_weights')
  const canSeal = sealedCallOf(state) !== undefined
  if (!byHash && !canSeal) throw new ChainError('NoCommits')
  return canSeal && (commitBy === 'timelock' || !byHash) ? 'commit-timelocked' : 'commit-hash'
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
