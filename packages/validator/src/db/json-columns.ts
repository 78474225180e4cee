/** The shapes of what json columns hold. Add optional fields only: older rows lack them. */
import type { DeclineReason } from '@horde/protocol/job/report'

/** A moment of the host's monotonic clock, in ms, and the boot since which that clock runs. */
export type HostMoment = { readonly boot: string; readonly ms: number }

/** The work of one synthetic job. Plain JSON, because the database keeps it until the job has ended. */
export interface Work {
  /** What is measured, for people; for example `sha256`. */
  readonly label: string
  readonly image: string
  readonly command: readonly string[]
  /** A zip file with the content of /volume, in base64. Default: an empty one. */
  readonly input?: string | undefined
  /** How long the answer may take after the work was sent, in seconds. */
  readonly timeoutSeconds: number
  /** How long an executor of reference speed takes, in seconds. Measured times are compared with it. */
  readonly referenceSeconds: number
  /** What `verify` needs to recognise the right answer. */
  readonly challenge: { readonly [name: string]: unknown }
}

/** A synthetic job's work, stored so that it can be sent, and its answer judged, after a restart too. */
export type Challenge = { readonly benchmark: string; readonly work: Work }

/** Why a validator gave no miner a user's job. */
export type Refusal = { readonly reason: DeclineReason; readonly message: string }

/** One score of a weight setting. */
export type ScoredNeuron = { readonly hotkey: string; readonly uid: number; readonly score: number }

export const SCORINGS = ['2024', 'efficiency'] as const
export type ScoringName = (typeof SCORINGS)[number]

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

/** How all scores of a weight setting were computed, for the command `explain`. */
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
