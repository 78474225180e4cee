/** Where this executor stands in its job, how long it took to get there, and what it answered. */
import type { Clock } from '@horde/kit/time'

export const STAGES = ['idle', 'preparing', 'ready', 'running', 'answering'] as const
export type Stage = (typeof STAGES)[number]

/** What the miner is answered, by the kind of its message. */
export const ANSWERS = ['finished', 'failed', 'not_prepared'] as const
export type AnswerKind = (typeof ANSWERS)[number]

export class Stages {
  readonly #clock: Clock
  readonly #secondsBefore = new Map<Stage, number>()
  #current: Stage = 'idle'
  #since: number
  #answer: AnswerKind | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#since = clock.monotonic()
  }

  get current(): Stage {
    return this.#current
  }

  /** Undefined until there is one. */
  get answer(): AnswerKind | undefined {
    return this.#answer
  }

  enter(stage: Exclude<Stage, 'answering'>): void {
    this.#move(stage)
  }

  answering(answer: AnswerKind): void {
    this.#answer = answer
    this.#move('answering')
  }

  /** How long it was in a stage so far, in seconds. */
  secondsIn(stage: Stage): number {
    const before = this.#secondsBefore.get(stage) ?? 0
    return stage === this.#current ? before + (this.#clock.monotonic() - this.#since) / 1_000 : before
  }

  #move(stage: Stage): void {
    this.#secondsBefore.set(this.#current, this.secondsIn(this.#current))
    this.#current = stage
    this.#since = this.#clock.monotonic()
  }
}
