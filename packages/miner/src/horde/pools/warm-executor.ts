/** A warm executor: one that was started before there is a job for it. */
import { randomUUID } from 'node:crypto'
import type { ExecutorChannel, ExecutorChannels } from '../../executors/executor-channel.ts'
import type { ExecutorManager, ExecutorOrder, StartedExecutor } from '../manager.ts'

/** A token that names no job: the executor is bound to a job later. */
export function newWarmToken(): string {
  return `${randomUUID()}-${randomUUID()}`
}

export class WarmExecutor {
  readonly channel: ExecutorChannel
  /** Undefined when it could not be started. Never rejects. */
  readonly started: Promise<StartedExecutor | undefined>
  /** Why it could not be started. */
  error: unknown
  /** When it was asked for, in ms of the monotonic clock. */
  readonly since: number
  hasExited = false
  readonly #channels: ExecutorChannels

  constructor(
    manager: ExecutorManager,
    order: Omit<ExecutorOrder, 'token'>,
    { channels, since }: { channels: ExecutorChannels; since: number },
  ) {
    this.channel = channels.open(newWarmToken())
    this.since = since
    this.#channels = channels
    this.started = this.#start(manager, order)
  }

  /** Ends an executor that has no job. */
  async discard(): Promise<void> {
    await this.#channels.close(this.channel)
    await (await this.started)?.stop()
  }

  async #start(manager: ExecutorManager, order: Omit<ExecutorOrder, 'token'>): Promise<StartedExecutor | undefined> {
    try {
      const executor = await manager.start({ ...order, token: this.channel.token })
      void executor.exited.then(
        how => this.#exited(how),
        () => this.#exited('its manager does not know how'),
      )
      return executor
    } catch (error) {
      this.error = error
      return undefined
    }
  }

  #exited(how: string): void {
    this.hasExited = true
    void this.channel.exited(how)
  }
}
