import type { ExecutorClass } from '@horde/protocol/classes'
import type { FinalState } from '@horde/protocol/job-state'
import type { JobUuid } from '@horde/protocol/primitives'
import type {
  V0InitialJobRequest,
  V0JobFailedRequest,
  V0JobFinishedRequest,
  V0JobRequest,
} from '@horde/protocol/validator-miner'
import type { JobResult } from '../db/jobs.ts'
import type { Manifest } from '../miner/link.ts'

/** What is offered to a miner, once it is known what it has, and how long the stages that depend on it may take. */
export interface JobPlan {
  executorClass: ExecutorClass | undefined
  offer: V0InitialJobRequest
  work: V0JobRequest
  /** From the acceptance to ready, in ms. */
  readyMs: number
  /** From ready to the result, in ms. */
  resultMs: number
}

/** A miner's result. */
export type ResultWord = V0JobFinishedRequest | V0JobFailedRequest

/** What a result is worth. */
export type Verdict = Pick<JobResult, 'reason' | 'score' | 'rightAnswer'>

export interface JobToDrive {
  uuid: JobUuid
  plan(manifest: Manifest | undefined): JobPlan
  /** Judges a result that came `seconds` after the work was sent. */
  judge(result: ResultWord, seconds: number): Verdict
  /** The verdict over a job that ended without a result. */
  unanswered: Omit<Verdict, 'reason'>
  /** To a connection on which the offer was said, in ms. */
  connectMs: number
  /** How long a new connection may take to tell its manifest, in ms; old miners tell none. */
  manifestMs: number
  /** From the offer to its answer, in ms. */
  acceptMs: number
  /** When the job ends whatever its stage, in ms of the monotonic clock. */
  endsAt: number
  /** Called once the executor is ready. */
  onReady?(): void
}

export interface JobEnd extends JobResult {
  state: FinalState
  executorClass: ExecutorClass | undefined
  /** The miner's own last word. */
  word: ResultWord | null
}
