/**
 * The line to one executor: however often it connects with its token, all its connections are kept, the newest is
 * spoken on, and every one is listened to. What comes over it waits in `words` for whoever drives its job; an executor
 * that was started ahead has none yet.
 */

import type { Socket } from '@horde/kit/socket'
import { Inbox } from '@horde/kit/socket/inbox'
import type { Clock } from '@horde/kit/time'
import { LARGEST_PASSED_ON_BYTES, LARGEST_WORK_BYTES, type Parsed } from '@horde/protocol/frame'
import type { ExecutorMessage, MinerToExecutorMessage } from '@horde/protocol/miner-executor'
import type { V0JobRequest } from '@horde/protocol/validator-miner'

export type ExecutorSocket = Socket<Parsed<ExecutorMessage>, MinerToExecutorMessage>

/** What an executor says about its job. */
export type JobReport = Exclude<ExecutorMessage, { message_type: 'GenericError' }>

/** What a job's driver hears. */
export type JobWord =
  | { from: 'executor'; message: JobReport }
  | { from: 'executor'; connected: boolean }
  | { from: 'manager'; exited: string }
  | { from: 'validator'; message: V0JobRequest }

/** How long what a dead executor had said may take to be read from its sockets, in milliseconds. */
const LAST_WORDS_MS = 2_000
/** How long an executor may take to take a message off the wire, in milliseconds; one that does not is cut, and may come back. */
const SAY_WITHIN_MS = 300_000

export class ExecutorLine {
  readonly token: string
  readonly words: Inbox<JobWord>
  /** The job that the executor is for, once there is one. */
  jobUuid: string | undefined
  readonly #clock: Clock
  readonly #sockets: ExecutorSocket[] = []
  /** What each of them takes, in bytes of one frame. */
  readonly #largest = new WeakMap<ExecutorSocket, number>()
  /** Resolves when the last connection is gone and all it said has been heard. Undefined while there is none. */
  #quiet: PromiseWithResolvers<void> | undefined
  #lostAt: number | undefined

  constructor(token: string, clock: Clock) {
    this.token = token
    this.#clock = clock
    this.words = new Inbox({ clock })
  }

  get isConnected(): boolean {
    return this.#sockets.length > 0
  }

  /** When the last connection was lost, in ms of the monotonic clock; undefined while there is one, and before the first. */
  get lostAt(): number | undefined {
    return this.#lostAt
  }

  /** @param capabilities that the executor told as it connected */
  attach(socket: ExecutorSocket, capabilities: readonly string[]): void {
    this.#sockets.push(socket)
    this.#largest.set(socket, capabilities.includes('large-frames') ? LARGEST_PASSED_ON_BYTES : LARGEST_WORK_BYTES)
    this.#lostAt = undefined
    this.#quiet ??= Promise.withResolvers<void>()
    this.words.put({ from: 'executor', connected: true })
  }

  /** Called when a connection has ended and everything it said has been heard. */
  detach(socket: ExecutorSocket): void {
    const index = this.#sockets.indexOf(socket)
    if (index >= 0) this.#sockets.splice(index, 1)
    if (this.#sockets.length > 0) return
    this.#lostAt = this.#clock.monotonic()
    this.#quiet?.resolve()
    this.#quiet = undefined
    this.words.put({ from: 'executor', connected: false })
  }

  /** Whether a message is small enough for the newest connection. Without one that is not known, and nothing is said. */
  takes(message: MinerToExecutorMessage): boolean {
    const newest = this.#sockets.findLast(socket => socket.isOpen)
    const largest = (newest && this.#largest.get(newest)) ?? LARGEST_PASSED_ON_BYTES
    return largest >= LARGEST_PASSED_ON_BYTES || Buffer.byteLength(JSON.stringify(message)) <= largest
  }

  /** Says a message on the newest connection. False when there is none, or when it closed meanwhile. */
  async say(message: MinerToExecutorMessage): Promise<boolean> {
    const newest = this.#sockets.findLast(socket => socket.isOpen)
    if (!newest) return false
    const over = new AbortController()
    const late = this.#clock.sleep(SAY_WITHIN_MS, over.signal).then(
      () => newest.close(1000, 'not listening'),
      () => {},
    )
    try {
      await newest.say(message)
      return true
    } catch {
      return false
    } finally {
      over.abort()
      await late
    }
  }

  /** An executor's exit is told to its driver, but not before what it had said is heard. */
  async exited(how: string): Promise<void> {
    const heard = new AbortController()
    const late = this.#clock.sleep(LAST_WORDS_MS, heard.signal).catch(() => {})
    await Promise.race([this.#quiet?.promise, late])
    heard.abort()
    this.words.put({ from: 'manager', exited: how })
  }

  async close(): Promise<void> {
    await Promise.all(this.#sockets.map(socket => socket.close(1000)))
  }
}

/** The lines of all executors that may connect, by token. */
export class ExecutorLines {
  readonly #lines = new Map<string, ExecutorLine>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** From now on an executor with this token is let in. */
  open(token: string): ExecutorLine {
    const line = new ExecutorLine(token, this.#clock)
    this.#lines.set(token, line)
    return line
  }

  find(token: string): ExecutorLine | undefined {
    return this.#lines.get(token)
  }

  /** Its token is good for nothing any more. Resolves when its connections are closed. */
  async close(line: ExecutorLine): Promise<void> {
    this.#lines.delete(line.token)
    await line.close()
  }
}
