/** How the scores of a weight setting were computed. Saved with the setting, for the command `explain`. */
import type { ScoringName } from '../db/schema.ts'

/** How a class got its share. */
export type ClassExplanation = {
  name: string
  /** The weight in the operator's table. */
  operatorWeight: number
  /** Executor-seconds that users requested. */
  demandSeconds: number
  /** The factor that demand applies to the weight. */
  demandFactor: number
  /** Sum of its miners' scores. */
  sum: number
  /** Measured capacity, in executors of reference speed. */
  offered: number
  /** Demanded capacity, in executors of reference speed. */
  demanded: number
  /** Its share of the weights, 0 to 1. */
  share: number
}

/** A miner's results in one class. */
export type ClassResult = {
  /** The class's name; null if classes do not count. */
  name: string | null
  jobs: number
  /** How many of the jobs have no score because of the validator's own fault. Each counts as an average job. */
  excused: number
  /** Sum of the jobs' scores, including excused ones. */
  sum: number
  /** Its part of the class's sum, 0 to 1. */
  ofClass: number
  /** What this class adds to the miner's score. */
  part: number
}

/** How a miner got its score. */
export type MinerExplanation = { hotkey: string; score: number; classes: ClassResult[] }

/** How all scores of a weight setting were computed. */
export type ScoreExplanation = {
  scoring: ScoringName
  /** The batches that the scores come from. */
  batches: number[]
  /** Batches that did not count because they were too old or had another scoring. */
  setAside: number[]
  windowSeconds: number
  /** The id of the setting whose scores are repeated, if there were no new ones. */
  repeats?: number
  /** Empty if classes do not count. */
  classes: ClassExplanation[]
  miners: MinerExplanation[]
}
