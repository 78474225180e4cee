/** Sends and receives for one job, within the deadline of its present stage. */
import { SocketClosedError } from '@horde/kit/socket'
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'
import type { JobRequest } from '@horde/protocol/job/messages'
import type { JobTerms } from '../dialects/miner-dialect.ts'
import type { ChannelEvent, JobChannel } from '../job-channel.ts'

export interface TimedChannelOptions {
  channel: JobChannel
  terms: JobTerms
  clock: Clock
  /** Awaited before anything is sent: resolves when this process may act on the job. */
  whenLocked?: (() => Promise<void>) | undefined
  /** When the job ends at the latest, in any stage, in ms of the monotonic clock. */
  endsAt: number
  /** Aborting makes waits reject. */
  signal: AbortSignal
}

export class TimedChannel {
  /** When the stage ends unless the job ends first, in ms of the monotonic clock. */
  stageEndsAt: number
  readonly #options: TimedChannelOptions

  constructor(stageEndsAt: number, options: TimedChannelOptions) {
    this.stageEndsAt = stageEndsAt
    this.#options = options
  }

  /** Returns the connection that took the message; undefined when it was lost first, or the stage ended. */
  async send(request: JobRequest): Promise<number | undefined> {
    const { channel, terms, clock, whenLocked } = this.#options
    if (whenLocked) {
      const from = clock.monotonic()
      await whenLocked()
      // The stage is extended by the time in which nothing could be sent.
      this.stageEndsAt += clock.monotonic() - from
    }
    return withDeadline(channel.send(request, terms), this.#leftMs(), 'sending to a miner', clock).catch(error => {
      if (error instanceof SocketClosedError || error instanceof DeadlineError) return undefined
      throw error
    })
  }

  /**
   * Returns the next event; undefined at the stage's end. Drops messages received after the stage deadline, so a chatty
   * peer still times out. Rejects when stopped, and when the job was dropped.
   */
  async next(): Promise<ChannelEvent | undefined> {
    const { clock, channel, signal } = this.#options
    signal.throwIfAborted()
    const until = this.#until()
    const wakeAt = Math.max(until, clock.monotonic())
    let lateMs = 0
    let event = await channel.next(this.#leftMs(), signal)
    if (event === undefined) {
      // If this process was held up, messages that arrived in time are still in the kernel. They count: the miner must
      // not pay for the delay.
      lateMs = clock.monotonic() - wakeAt
      event = await channel.next(0, signal)
    }
    return event?.type === 'message' && event.at > until + 2 * lateMs ? undefined : event
  }

  #until(): number {
    return Math.min(this.stageEndsAt, this.#options.endsAt)
  }

  #leftMs(): number {
    return Math.max(0, this.#until() - this.#options.clock.monotonic())
  }
}
