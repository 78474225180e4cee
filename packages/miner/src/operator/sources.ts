/** Where the operator's pages get what they show: functions that give plain data, and ask nobody but the database. */
import type { ChainState } from '@horde/chain/chain'
import type { Metagraph } from '@horde/chain/metagraph'
import type { Watched } from '@horde/operator/watch/watches'
import type { FinalState, JobState } from '@horde/protocol/job-state'
import type { AnnouncementState } from '../announce/announcer.ts'
import type { ListedJob } from '../db/list-jobs.ts'
import type { ShownPool } from '../horde/horde.ts'

/** A job that is being driven. Its texts are strangers'. */
export type JobNow = {
  uuid: string
  validator: string
  executorClass: string
  image: string | null
  state: JobState
  /** Since when it is in this state, since the epoch, in milliseconds. */
  sinceMs: number
}

/** What this miner is, for as long as it runs. */
export type OwnFacts = {
  hotkey: string
  netuid: number
  /** The port for validators. */
  port: number
  startedAtMs: number
}

export type StatusSources = {
  own: OwnFacts
  horde(): ShownPool[]
  jobs(): JobNow[]
  /** How many jobs ended how since the start. */
  ends(): Readonly<Record<FinalState, number>>
  /** The ends of taken jobs, the latest first. */
  lastEnds(limit: number): Promise<ListedJob[]>
  /** The subnet as the chain said it last. */
  metagraph(): Metagraph | undefined
  /** How old that is, in milliseconds; undefined when the chain has never answered. */
  listAgeMs(): number | undefined
  /** From what age on it is old, in milliseconds. */
  oldListMs: number
  /** Hotkeys by the operator's settings. */
  extra: readonly string[]
  banned: readonly string[]
  /** Authenticated connections, by validator. */
  connections(): ReadonlyMap<string, number>
  /** How it is with the address on the chain. */
  announcement(): AnnouncementState
  /** Whether the miner takes no new jobs, by the operator's setting. */
  migrating: boolean
  chain(): ChainState
  watches(): Watched[]
}
