/** An executor that was started before there is a job for it. */
import { randomUUID } from 'node:crypto'
import type { ExecutorLine, ExecutorLines } from '../../jobs/executor-line.ts'
import type { ExecutorManager, ExecutorOrder, StartedExecutor } from '../manager.ts'

/** A token that names no job: it is bound to one when one comes. */
export function newWarmToken(): string {
  return `${randomUUID()}-${randomUUID()}`
}

export class WarmExecutor {
  readonly line: ExecutorLine
  /** Undefined: it could not be started. Never rejects. */
  readonly started: Promise<StartedExecutor | undefined>
  /** Why it could not be started. */
  error: unknown
  /** When it was asked for, in ms of the monotonic clock. */
  readonly since: number
  hasExited = false
  readonly #lines: ExecutorLines

  constructor(
    manager: ExecutorManager,
    order: Omit<ExecutorOrder, 'token'>,
    { lines, since }: { lines: ExecutorLines; since: number },
  ) {
    this.line = lines.open(newWarmToken())
    this.since = since
    this.#lines = lines
    this.started = this.#start(manager, order)
  }

  /** Ends it; for one that has no job. */
  async discard(): Promise<void> {
    await this.#lines.close(this.line)
    await (await this.started)?.stop()
  }

  async #start(manager: ExecutorManager, order: Omit<ExecutorOrder, 'token'>): Promise<StartedExecutor | undefined> {
    try {
      const executor = await manager.start({ ...order, token: this.line.token })
      void executor.exited.then(
        how => this.#exited(how),
        () => this.#exited('its manager could not tell'),
      )
      return executor
    } catch (error) {
      this.error = error
      return undefined
    }
  }

  #exited(how: string): void {
    this.hasExited = true
    void this.line.exited(how)
  }
}
