/** Makes the calls of one connection: each waits for the route, has a time limit, and fails with EngineError. */
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'
import type { default as Docker } from 'dockerode'
import { type EngineError, engineError, isBrokenOff } from './engine-error.ts'
import type { ProblemReader } from './engine-problem.ts'

/** How the connection gets to the engine. */
export interface Route {
  /** Resolves when calls can be made. Rejects with the reason when they cannot. */
  ready(): Promise<void>
  /** Returns why calls fail, if the route knows. */
  failure?(): Promise<string | undefined>
  close(): Promise<void>
}

export interface CallOptions {
  /** Reads the engine's sentence when the call fails. */
  problem?: ProblemReader
  /** How long the engine may take to answer, in ms. Default: the connection's own limit. */
  withinMs?: number
}

interface CallDeps {
  docker: Docker
  url: string
  route: Route
  callMs: number
  clock: Clock
}

export class EngineCalls {
  readonly docker: Docker
  readonly url: string
  readonly callMs: number
  readonly #route: Route
  readonly #clock: Clock

  constructor({ docker, url, route, callMs, clock }: CallDeps) {
    this.docker = docker
    this.url = url
    this.callMs = callMs
    this.#route = route
    this.#clock = clock
  }

  /**
   * Makes a call that the engine answers at once. Rejects with EngineError.
   *
   * @param doing begins the message of an error: `creating a container`
   */
  async call<T>(
    doing: string,
    ask: () => Promise<T>,
    { problem, withinMs = this.callMs }: CallOptions = {},
  ): Promise<T> {
    await this.ready(doing)
    const answer = ask()
    try {
      return await withDeadline(answer, withinMs, doing, this.#clock)
    } catch (cause) {
      if (!(cause instanceof DeadlineError)) throw await this.failure(doing, cause, problem)
      throw engineError({ doing, url: this.url, lateAnswer: answer }, cause)
    }
  }

  /** Resolves when a call can be made. Rejects with EngineError. */
  async ready(doing: string): Promise<void> {
    await this.#route.ready().catch(async cause => {
      throw await this.failure(doing, cause)
    })
  }

  /** Returns what the failure of a call means. */
  async failure(doing: string, cause: unknown, problem?: ProblemReader): Promise<EngineError> {
    const failure = isBrokenOff(cause) ? await this.#route.failure?.() : undefined
    return engineError({ doing, url: this.url, problem, failure }, cause)
  }

  /** Closes the route. */
  close(): Promise<void> {
    return this.#route.close()
  }
}
