import type { ExecutorClass } from '@horde/protocol/classes'
import type { FinalState, OpenState } from '@horde/protocol/job-state'
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
export type Verdict = Pick<JobResult, 'reason' | 'score' | 'rightAnswer' | 'comment'>

/** What an earlier process of this validator left of a job. */
export interface LeftJob {
  state: OpenState
  /** Whether the offer may be said again: a miner of 2024 breaks off when it hears one twice. */
  repeatOffer: boolean
  /** When its work was sent, in ms of the monotonic clock, where that is known. */
  workAt?: number | undefined
}

export interface JobToDrive {
  uuid: JobUuid
  plan(manifest: Manifest | undefined): JobPlan
  /** Judges a result that came `seconds` after the work was sent; undefined when nobody measured that. */
  judge(result: ResultWord, seconds: number | undefined): Verdict
  /** The verdict over a job that ended without a result. */
  unanswered: Omit<Verdict, 'reason'>
  /** To a connection on which the offer was said, in ms. */
  connectMs: number
  /** How long a new connection may take to tell its manifest, in ms; old miners tell none. 0: nobody asks for it. */
  manifestMs: number
  /** From the offer to its answer, in ms. */
  acceptMs: number
  /** For a miner that may hold the offer back: from the offer to its answer after all, in ms. */
  slowAcceptMs?: number
  /** Called when `acceptMs` are over for such a miner. */
  onHeldBack?(): void
  /** When the job ends whatever its stage, in ms of the monotonic clock. */
  endsAt: number
  /** Given when it is taken up after a restart. */
  left?: LeftJob | undefined
  /** Whether a stop of this validator leaves it open, to be taken up at the next start. */
  leaveOpen?: boolean
  /** Called once it is saved that the executor is ready. */
  onReady?(): void
}

export interface JobEnd extends JobResult {
  state: FinalState
  executorClass: ExecutorClass | undefined
  /** The miner's own last word. */
  word: ResultWord | null
}
