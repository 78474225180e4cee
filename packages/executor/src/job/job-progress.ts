/**
 * Moves this executor's job from stage to stage. `transition` is the only function that does so: it checks the event
 * against the table, moves the job, measures the stage that ended, and logs the move. Imports nothing heavy, because it
 * is loaded at start-up.
 */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'

export const STAGES = ['idle', 'preparing', 'ready', 'loading', 'running', 'delivering', 'answering'] as const
export type Stage = (typeof STAGES)[number]

/** The kinds of answer to the miner. They are values of a metric's label. */
export const ANSWERS = ['finished', 'failed', 'not_prepared'] as const
export type AnswerKind = (typeof ANSWERS)[number]

/**
 * What moves a job: the miner's offer and work, and what the executor reports. Each dialect has its own messages for
 * them, and v0 has none for `volumes-ready` and `execution-done`.
 */
export type JobEvent =
  | 'offer'
  | 'ready'
  | 'not-prepared'
  | 'work'
  | 'volumes-ready'
  | 'execution-done'
  | 'finished'
  | 'failed'

/** from – event → to. The job stays in `answering` until the process exits: an executor runs one job. */
const MOVES: Record<Stage, Partial<Record<JobEvent, Stage>>> = {
  idle: { offer: 'preparing' },
  preparing: { ready: 'ready', 'not-prepared': 'answering' },
  ready: { work: 'loading', failed: 'answering' },
  loading: { 'volumes-ready': 'running', failed: 'answering' },
  running: { 'execution-done': 'delivering', failed: 'answering' },
  delivering: { finished: 'answering', failed: 'answering' },
  answering: {},
}

const ANSWER_OF: Partial<Record<JobEvent, AnswerKind>> = {
  finished: 'finished',
  failed: 'failed',
  'not-prepared': 'not_prepared',
}

/** Returns the stage after an event, or undefined when the event is out of order. */
export function stageAfter(stage: Stage, event: JobEvent): Stage | undefined {
  return MOVES[stage][event]
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

  /** Moves the job on. Throws when the event is out of order: for the miner's messages, ask `stageAfter` first. */
  transition(event: JobEvent, jobUuid: string): void {
    const from = this.#stage
    const to = stageAfter(from, event)
    if (to === undefined) throw new Error(`${event} is out of order while the job is ${from}`)
    const now = this.#clock.monotonic()
    this.#secondsBefore.set(from, this.secondsIn(from))
    this.#log.info({ jobUuid, from, to, ms: Math.round(now - this.#since) }, 'job moved')
    this.#stage = to
    this.#since = now
    this.#answer = ANSWER_OF[event]
  }

  /** Returns the seconds spent in a stage so far. */
  secondsIn(stage: Stage): number {
    const before = this.#secondsBefore.get(stage) ?? 0
    return stage === this.#stage ? before + (this.#clock.monotonic() - this.#since) / 1_000 : before
  }
}
