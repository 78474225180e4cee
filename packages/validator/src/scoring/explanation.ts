/** How each score of a weight setting came about: what is kept beside it, for `explain`. */
import type { ScoringName } from '../db/schema.ts'

/** A class, as it took its share. */
export type ClassExplanation = {
  name: string
  /** In the operator's table. */
  operatorWeight: number
  /** Executor-seconds that users asked for. */
  demandSeconds: number
  /** What that makes of the weight. */
  demandFactor: number
  /** The sum of its miners' scores. */
  sum: number
  /** Executors of reference speed. */
  offered: number
  demanded: number
  /** Of the whole, 0 to 1. */
  share: number
}

/** What a miner did in one class. */
export type ClassResult = {
  /** Of the class; null where classes do not count. */
  name: string | null
  jobs: number
  /** Of these: not measured, by the validator's own fault; each counts as the mean of the others. */
  excused: number
  /** Of the jobs' scores, excused ones included. */
  sum: number
  /** Of the class's sum, 0 to 1. */
  ofClass: number
  /** What it adds to the miner's score. */
  part: number
}

export type MinerExplanation = { hotkey: string; score: number; classes: ClassResult[] }

export type ScoreExplanation = {
  scoring: ScoringName
  /** The batches that the scores were made of. */
  batches: number[]
  /** Batches that no longer count, and are done with: too old, or of another scoring. */
  setAside: number[]
  windowSeconds: number
  /** The setting whose scores are set again, when there was nothing new. */
  repeats?: number
  /** None where classes do not count. */
  classes: ClassExplanation[]
  miners: MinerExplanation[]
}
