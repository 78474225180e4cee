/**
 * The channel to one executor, over however many connections it opens with its token: all are read, and messages go out
 * on the newest. What arrives waits in `events` for the driver of its job; an executor that was started ahead has none
 * yet.
 */
import type { Socket } from '@horde/kit/socket'
import { Inbox } from '@horde/kit/socket/inbox'
import type { Clock } from '@horde/kit/time'
import { LARGEST_PASSED_ON_BYTES, LARGEST_WORK_BYTES } from '@horde/protocol/frame'
import type { JobReport, JobRequest } from '@horde/protocol/job/messages'
import type { JobWork } from '@horde/protocol/job/request'
import type { DialectName } from '../validators/dialects/dialect.ts'
import { type ChannelJob, type ExecutorPeer, frameFor, obstacleTo, spokenBy } from './executor-dialect.ts'

export type ExecutorSocket = Socket<string | Uint8Array, object>

/** What the driver of a job waits for. */
export type DriverEvent =
  | { from: 'executor'; report: JobReport }
  | { from: 'executor'; connected: boolean }
  /** `done` is called once all earlier events were handled. */
  | { from: 'executor'; done: () => void }
  | { from: 'manager'; exited: string }
  | { from: 'validator'; work: JobWork }

/** How long the miner reads on from the sockets of an executor that has exited, in milliseconds. */
const READ_ON_MS = 2_000
/** How long an executor may take to read a message, in milliseconds. Then its connection is cut; it may come back. */
const SEND_WITHIN_MS = 300_000

export class ExecutorChannel {
  readonly token: string
  readonly events: Inbox<DriverEvent>
  /** The job that the executor is for, once there is one. */
  jobUuid: string | undefined
  /** What messages of v2026 need to know of that job. */
  job: ChannelJob | undefined
  /** The dialect that is spoken with the executor. Undefined before the first request. */
  #dialect: DialectName | undefined
  /** Whether the dialect is a guess, which an error of the executor changes once. */
  #isGuess = false
  #spoken: ReturnType<typeof spokenBy> = 'unknown'
  readonly #clock: Clock
  readonly #sockets: ExecutorSocket[] = []
  /** The largest frame that each of them accepts, in bytes. */
  readonly #largest = new WeakMap<ExecutorSocket, number>()
  /** Resolves when the last connection is closed and read to its end. Undefined while there is none. */
  #allRead: PromiseWithResolvers<void> | undefined
  #lostAt: number | undefined
  /** Whether the executor has reported anything about its job. */
  #hasReported = false
  /** Resolves when the driver of the job handles no further event, and the end of the job is stored. */
  readonly #over = Promise.withResolvers<void>()

  constructor(token: string, clock: Clock) {
    this.token = token
    this.#clock = clock
    this.events = new Inbox({ clock })
  }

  get isConnected(): boolean {
    return this.#sockets.length > 0
  }

  /**
   * When the last connection was lost, in ms of the monotonic clock; undefined while there is one, and before the
   * first.
   */
  get lostAt(): number | undefined {
    return this.#lostAt
  }

  /** The dialect that is spoken with the executor; undefined before the first request. */
  get dialect(): DialectName | undefined {
    return this.#dialect
  }

  attach(socket: ExecutorSocket, peer: Omit<ExecutorPeer, 'token'>): void {
    this.#sockets.push(socket)
    this.#spoken = this.job?.speaks ?? spokenBy(peer)
    const readsLarge = this.#spoken === 'v2026' || peer.capabilities.includes('large-frames')
    this.#largest.set(socket, readsLarge ? LARGEST_PASSED_ON_BYTES : LARGEST_WORK_BYTES)
    this.#lostAt = undefined
    this.#allRead ??= Promise.withResolvers<void>()
    this.events.put({ from: 'executor', connected: true })
  }

  /** Called when a connection has ended and was read to its end. */
  detach(socket: ExecutorSocket): void {
    const index = this.#sockets.indexOf(socket)
    if (index >= 0) this.#sockets.splice(index, 1)
    if (this.#sockets.length > 0) return
    this.#lostAt = this.#clock.monotonic()
    this.#allRead?.resolve()
    this.#allRead = undefined
    this.events.put({ from: 'executor', connected: false })
  }

  /** Whether a request is small enough for the newest connection. True without one: nothing can be sent then. */
  takes(request: JobRequest): boolean {
    const newest = this.#sockets.findLast(socket => socket.isOpen)
    const largest = (newest && this.#largest.get(newest)) ?? LARGEST_PASSED_ON_BYTES
    return largest >= LARGEST_PASSED_ON_BYTES || Buffer.byteLength(JSON.stringify(this.#frameFor(request))) <= largest
  }

  /** Returns the part of a request that the executor's dialect cannot express, for people. */
  obstacleTo(request: JobRequest): string | undefined {
    return obstacleTo(request, this.#chooseDialect())
  }

  /**
   * Takes an executor's error: once, when its dialect was a guess, it means that it speaks the other one, and the job
   * begins anew in that.
   */
  takeError(): void {
    if (!this.#isGuess || this.#dialect === undefined) return
    this.#isGuess = false
    this.#dialect = this.#dialect === 'v0' ? 'v2026' : 'v0'
    this.events.put({ from: 'executor', connected: true })
  }

  /** The executor has reported something, so that it speaks the dialect that it is spoken to. */
  takeReport(report: JobReport): void {
    this.#isGuess = false
    this.#hasReported = true
    this.events.put({ from: 'executor', report })
  }

  /** Resolves when all that the executor has reported so far is handled, and so stored, or the job is over. */
  async handled(): Promise<void> {
    if (!this.#hasReported) return
    const handled = Promise.withResolvers<void>()
    this.events.put({ from: 'executor', done: handled.resolve })
    await Promise.race([handled.promise, this.#over.promise])
  }

  /** The job is over, and stored as that: no further event is handled. */
  over(): void {
    this.#over.resolve()
  }

  #chooseDialect(): DialectName {
    if (this.#dialect !== undefined) return this.#dialect
    const offered = this.job?.dialect ?? 'v0'
    this.#isGuess = this.#spoken === 'unknown'
    this.#dialect = this.#spoken === 'both' || this.#spoken === 'unknown' ? offered : this.#spoken
    return this.#dialect
  }

  #frameFor(request: JobRequest): object {
    return frameFor(request, this.#chooseDialect(), this.job)
  }

  /** Sends a request on the newest connection. False when there is none, or when it closed meanwhile. */
  async send(request: JobRequest): Promise<boolean> {
    const newest = this.#sockets.findLast(socket => socket.isOpen)
    if (!newest) return false
    const done = new AbortController()
    const late = this.#clock.sleep(SEND_WITHIN_MS, done.signal).then(
      () => newest.close(1013, 'not listening'),
      () => {},
    )
    try {
      await newest.send(this.#frameFor(request))
      return true
    } catch {
      return false
    } finally {
      done.abort()
      await late
    }
  }

  /** Puts the executor's exit behind everything that it had sent. */
  async exited(how: string): Promise<void> {
    const read = new AbortController()
    const late = this.#clock.sleep(READ_ON_MS, read.signal).catch(() => {})
    await Promise.race([this.#allRead?.promise, late])
    read.abort()
    this.events.put({ from: 'manager', exited: how })
  }

  async close(): Promise<void> {
    await Promise.all(this.#sockets.map(socket => socket.close(1000)))
  }
}

/** The channels of all executors that may connect, by token. */
export class ExecutorChannels {
  readonly #channels = new Map<string, ExecutorChannel>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** From now on an executor with this token may connect. */
  open(token: string): ExecutorChannel {
    const channel = new ExecutorChannel(token, this.#clock)
    this.#channels.set(token, channel)
    return channel
  }

  find(token: string): ExecutorChannel | undefined {
    return this.#channels.get(token)
  }

  /** Makes its token invalid. Resolves when its connections are closed. */
  async close(channel: ExecutorChannel): Promise<void> {
    this.#channels.delete(channel.token)
    await channel.close()
  }
}
