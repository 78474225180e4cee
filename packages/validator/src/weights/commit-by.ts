import type { CommitReveal } from '@horde/chain/chain'
import { hearsDrand, sealedCallOf } from '@horde/chain/commits/timelock'
import { ChainError } from '@horde/chain/errors'
import type { SettingMethod } from '../db/schema.ts'

/** How weights are committed: as the chain can do best, by hash, or sealed for a round of drand. */
export const COMMITS_BY = ['auto', 'hash', 'timelock'] as const
export type CommitBy = (typeof COMMITS_BY)[number]

/** How weights are told to the chain, and why so, for people. */
export interface ChosenMethod {
  method: SettingMethod
  why: string
}

/**
 * The method by what the chain offers now. The chain opens sealed commits itself, so `auto` prefers them, unless the chain
 * has stopped to hear of drand and could open none.
 *
 * @throws ChainError NoCommits when the subnet wants commits and the chain has no call for them
 */
export function chooseMethod(state: CommitReveal, commitBy: CommitBy, nowMs: number): ChosenMethod {
  if (!state.enabled) return { method: 'set', why: 'the subnet has no commit-reveal' }
  const byHash = state.calls.includes('commit_weights')
  const canSeal = sealedCallOf(state) !== undefined
  const hash = (why: string): ChosenMethod => ({ method: 'commit-hash', why })
  const sealed = (why: string): ChosenMethod => ({ method: 'commit-timelocked', why })
  if (!byHash && !canSeal) throw new ChainError('NoCommits')
  if (!canSeal) return hash('the chain takes no sealed commits')
  if (!byHash) return sealed('the chain takes no commits by hash')
  if (commitBy === 'hash') return hash('WEIGHTS_COMMIT_BY=hash: this validator reveals them in their epoch')
  if (commitBy === 'timelock') return sealed('WEIGHTS_COMMIT_BY=timelock: the chain opens them itself')
  if (hearsDrand(state, nowMs)) return sealed('the chain opens them itself, whether or not this validator runs then')
  return hash('the chain has heard of no round of drand for ten minutes, so it could not open sealed ones')
}
