/** Where the operator's pages get what they show: functions that give plain data, and ask nobody but the database. */
import type { ChainState } from '@horde/chain/chain'
import type { LoopState } from '@horde/kit/loop'
import type { Watched } from '@horde/kit/watch/watches'
import type { BatchRow, MinerScore, OrganicRow, SettingRow } from '../db/for-operator/overview.ts'
import type { FacilitatorState } from '../organic/facilitator-connection.ts'
import type { SubnetKnown } from '../watch/standing.ts'
import type { ChosenMethod } from '../weights/commit-by.ts'
import type { NextBatch } from './status/next-batch.ts'

/** What this validator is, for as long as it runs. */
export type OwnFacts = { hotkey: string; netuid: number; startedAtMs: number }

export type StatusSources = {
  own: OwnFacts
  chain(): ChainState
  /** The subnet as the chain said it last. */
  subnet(): SubnetKnown | undefined
  /** How old that is, in milliseconds; undefined when the chain has never answered. */
  subnetAgeMs(): number | undefined
  /** How weights are told to the chain, and why so; undefined while the chain has not said what it offers. */
  weightsBy(): ChosenMethod | undefined
  nextBatch(): NextBatch
  loops(): readonly { name: string; state(): LoopState }[]
  facilitator(): FacilitatorState | undefined
  watches(): Watched[]
  history: History
}

/** What the database remembers, the latest first. */
export type History = {
  batches(limit: number): Promise<BatchRow[]>
  /** Of all jobs of some batches, by miner. */
  scores(batches: readonly BatchRow[]): Promise<MinerScore[]>
  settings(limit: number): Promise<SettingRow[]>
  organicJobs(limit: number): Promise<OrganicRow[]>
}
