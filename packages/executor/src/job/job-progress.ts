/**
 * Moves this executor's job from stage to stage. `transition` is the only function that does so: it checks the message
 * against the table, moves the job, measures the stage that ended, and logs the move. Imports nothing heavy, because it
 * is loaded at start-up.
 */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'

export const STAGES = ['idle', 'preparing', 'ready', 'running', 'answering'] as const
export type Stage = (typeof STAGES)[number]

/** The kinds of answer to the miner. They are values of a metric's label. */
export const ANSWERS = ['finished', 'failed', 'not_prepared'] as const
export type AnswerKind = (typeof ANSWERS)[number]

/** The messages that move a job, from either side. */
export type JobMessageType =
  | 'V0PrepareJobRequest'
  | 'V0ReadyRequest'
  | 'V0FailedToPrepare'
  | 'V0RunJobRequest'
  | 'V0FinishedRequest'
  | 'V0FailedRequest'

/** from – message → to. The job stays in `answering` until the process exits: an executor runs one job. */
const MOVES: Record<Stage, Partial<Record<JobMessageType, Stage>>> = {
  idle: { V0PrepareJobRequest: 'preparing' },
  preparing: { V0ReadyRequest: 'ready', V0FailedToPrepare: 'answering' },
  ready: { V0RunJobRequest: 'running' },
  running: { V0FinishedRequest: 'answering', V0FailedRequest: 'answering' },
  answering: {},
}

const ANSWER_OF: Partial<Record<JobMessageType, AnswerKind>> = {
  V0FinishedRequest: 'finished',
  V0FailedRequest: 'failed',
  V0FailedToPrepare: 'not_prepared',
}

/** Returns the stage after a message, or undefined when the message is out of order. */
export function stageAfter(stage: Stage, message: JobMessageType): Stage | undefined {
  return MOVES[stage][message]
}

export class JobProgress {
  readonly #clock: Clock
  readonly #log: Log
  readonly #secondsBefore = new Map<Stage, number>()
  #stage: Stage = 'idle'
  #since: number
  #answer: AnswerKind | undefined

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
    this.#since = clock.monotonic()
  }

  get stage(): Stage {
    return this.#stage
  }

  /** The kind of the answer; undefined before there is one. */
  get answer(): AnswerKind | undefined {
    return this.#answer
  }

  /** Moves the job on. Throws when the message is out of order: for the miner's messages, ask `stageAfter` first. */
  transition(message: { message_type: JobMessageType; job_uuid: string }): void {
    const from = this.#stage
    const to = stageAfter(from, message.message_type)
    if (to === undefined) throw new Error(`${message.message_type} is out of order while the job is ${from}`)
    const now = this.#clock.monotonic()
    this.#secondsBefore.set(from, this.secondsIn(from))
    this.#log.info({ jobUuid: message.job_uuid, from, to, ms: Math.round(now - this.#since) }, 'job moved')
    this.#stage = to
    this.#since = now
    this.#answer = ANSWER_OF[message.message_type]
  }

  /** Returns the seconds spent in a stage so far. */
  secondsIn(stage: Stage): number {
    const before = this.#secondsBefore.get(stage) ?? 0
    return stage === this.#stage ? before + (this.#clock.monotonic() - this.#since) / 1_000 : before
  }
}
