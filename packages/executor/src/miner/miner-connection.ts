/**
 * The connection to the miner, across reconnects. It passes the miner's offer and work on, answers messages that are
 * out of order, and sends what the miner may have missed again on the next connection.
 */
import type { Log } from '@horde/kit/log'
import { keepConnected } from '@horde/kit/reconnect'
import { dialSocket, type Socket } from '@horde/kit/socket'
import { DialError, SocketClosedError } from '@horde/kit/socket/errors'
import { DeadlineError, withDeadline } from '@horde/kit/time'
import { EXECUTOR_PATH } from '@horde/protocol/executor/address'
import { LARGEST_PASSED_ON_BYTES } from '@horde/protocol/frame'
import { CAPABILITIES_HEADER } from '@horde/protocol/handshake/capabilities'
import type { JobResult } from '@horde/protocol/job/report'
import type { JobOffer, JobWork } from '@horde/protocol/job/request'
import type { JobUuid } from '@horde/protocol/primitives'
import type { JobEvent, JobProgress } from '../job/job-progress.ts'
import { dialectOf } from './choose-dialect.ts'
import type { Dialect, Report } from './dialect.ts'

/** How long the miner may take to acknowledge the answer by closing, in ms. Until then it may not have arrived. */
const ACKNOWLEDGE_MS = 15_000
/** How long any other close may take, in ms. Short, because a process that is asked to stop has 10 s in all. */
const CLOSE_TIMEOUT_MS = 2_000
/**
 * A connection that lasted this many acknowledgement times resets the attempts. It must be longer than one: otherwise
 * the answer would be sent for ever to a miner that never acknowledges it.
 */
const STABLE_FACTOR = 2
/** `2026`: the executor speaks v2026, too. */
const CAPABILITIES = '2026, large-frames'
const LONGEST_DELAY_FACTOR = 16
const JITTER_SHARE = 0.5

/** Close codes that acknowledge our own close. 1005: a close frame without a code. */
const ACKNOWLEDGED_CODES = [1000, 1005]

type MinerSocket = Socket<string | Uint8Array, object>

/**
 * Why there is no connection any more. `answered`: the miner acknowledged the answer. `dismissed`: it closed before it
 * offered a job. `refused`: it reported an error first. `no offer`: the offer did not come in time. `gave up`: too many
 * attempts failed.
 */
export type ConnectionEnd = 'answered' | 'dismissed' | 'refused' | 'no offer' | 'gave up' | 'aborted'

export interface MinerConnectionOptions {
  address: string
  token: string
  attempts: number
  delayMs: number
  /** How long the miner may take to acknowledge the answer, in ms. Default: 15 s. */
  acknowledgeMs?: number
  progress: JobProgress
  log: Log
}

interface Received {
  messages: number
  /** Resets the reconnect attempts. Called when this connection made progress with the job. */
  wasOfUse(): void
}

export class MinerConnection {
  readonly #options: MinerConnectionOptions
  readonly #progress: JobProgress
  readonly #connected = Promise.withResolvers<void>()
  readonly #offer = Promise.withResolvers<JobOffer>()
  readonly #work = Promise.withResolvers<JobWork>()
  readonly #answered = Promise.withResolvers<void>()
  /** What was reported so far, in order. */
  readonly #reports: Report[] = []
  #socket: MinerSocket | undefined
  /** How the miner speaks; undefined before its offer. */
  #dialect: Dialect | undefined
  #jobUuid: JobUuid | undefined
  #result: JobResult | undefined
  #sending: Promise<void> | undefined
  #end: ConnectionEnd | undefined

  constructor(options: MinerConnectionOptions) {
    this.#options = options
    this.#progress = options.progress
  }

  /**
   * Dials, and dials again when the connection is lost. Returns when the answer is delivered, the miner does not need
   * this executor, or the miner cannot be reached.
   */
  async keep(signal: AbortSignal): Promise<ConnectionEnd> {
    const { address, token, attempts, delayMs, acknowledgeMs = ACKNOWLEDGE_MS, log } = this.#options
    const url = address.replace(/\/+$/, '') + EXECUTOR_PATH + token
    const outcome = await keepConnected<MinerSocket>({
      dial: signal =>
        dialSocket(url, {
          headers: { [CAPABILITIES_HEADER]: CAPABILITIES },
          parse: frame => frame,
          maxFrameBytes: LARGEST_PASSED_ON_BYTES,
          closeTimeoutMs: CLOSE_TIMEOUT_MS,
          log,
          signal,
        }),
      use: (socket, signal, wasOfUse) => this.#use(socket, signal, wasOfUse),
      backoff: { minMs: delayMs, maxMs: delayMs * LONGEST_DELAY_FACTOR, jitterMs: delayMs * JITTER_SHARE },
      maxAttempts: attempts,
      stableMs: acknowledgeMs * STABLE_FACTOR,
      isFinal: error => this.#progress.stage === 'idle' && error instanceof DialError && isRefusal(error.status),
      log,
      signal,
    })
    if (outcome === 'done') return this.#end ?? 'answered'
    // The answer may or may not have arrived. 'no offer' is certain: then there was no answer to send.
    return this.#end === 'no offer' ? this.#end : outcome
  }

  get isConnected(): boolean {
    return this.#socket !== undefined
  }

  /** Resolves with the first connection. */
  connected(signal: AbortSignal): Promise<void> {
    return orAborted(this.#connected.promise, signal)
  }

  /**
   * Returns the miner's offer of a job.
   *
   * @param ms how long the offer may take from the first connection on; undefined: no limit
   * @throws DeadlineError after `ms`; the connection then ends with 'no offer'
   */
  async receiveOffer(ms: number | undefined, signal: AbortSignal): Promise<JobOffer> {
    const offer = orAborted(this.#offer.promise, signal)
    if (ms === undefined) return offer
    offer.catch(() => {})
    await this.connected(signal)
    try {
      return await withDeadline(offer, ms, 'waiting for the offer of a job')
    } catch (error) {
      if (error instanceof DeadlineError) this.#end = 'no offer'
      throw error
    }
  }

  /** Moves the job on and reports it, if the miner's dialect has a message for it. */
  async report(report: Report): Promise<void> {
    this.#progress.transition(report, this.#jobUuid ?? '')
    this.#reports.push(report)
    const message = this.#messageOf(report)
    if (this.#socket && message) await this.#send(this.#socket, message)
  }

  /** Returns the work of the ready job. Rejects with DeadlineError after `ms`. */
  receiveWork(ms: number, signal: AbortSignal): Promise<JobWork> {
    return withDeadline(orAborted(this.#work.promise, signal), ms, 'waiting for the work of a ready job')
  }

  /**
   * Moves the job to answering and sends its result. Resolves once the miner has it, on this connection or a later one.
   */
  sendAnswer(result: JobResult, signal: AbortSignal): Promise<void> {
    this.#progress.transition(this.#eventOf(result), this.#jobUuid ?? '')
    this.#result = result
    if (this.#socket) this.#sending = this.#deliver(this.#socket, result)
    return orAborted(this.#answered.promise, signal)
  }

  #eventOf({ end }: JobResult): JobEvent {
    if (this.#progress.stage === 'preparing') return 'not-prepared'
    return end === 'finished' ? 'finished' : 'failed'
  }

  async #use(socket: MinerSocket, signal: AbortSignal, wasOfUse: () => void): Promise<'done' | undefined> {
    this.#socket = socket
    this.#connected.resolve()
    const received = { messages: 0, wasOfUse }
    this.#sending = this.#resend(socket)
    for (let frame = await socket.receive(signal); frame !== undefined; frame = await socket.receive(signal)) {
      await this.#receive(socket, this.#dialect ?? (await dialectOf(frame)), frame, received)
    }
    this.#socket = undefined
    const end = await socket.closed
    await this.#sending
    if (this.#end) return 'done'
    if (this.#progress.stage !== 'idle' || end.code !== 1000) return undefined
    this.#end = 'dismissed'
    return 'done'
  }

  /**
   * Sends on a new connection what the miner may have missed: that the job is ready while it has no work, the reports
   * of its run, which a miner may get twice, and the answer. Each is passed to the socket before this waits, so that
   * nothing that is said meanwhile comes between.
   */
  async #resend(socket: MinerSocket): Promise<void> {
    const missed = this.#reports.filter(report => report !== 'ready' || this.#progress.stage === 'ready')
    const messages = missed.map(report => this.#messageOf(report)).filter(message => message !== undefined)
    const sent = messages.map(message => this.#send(socket, message))
    if (this.#result) await this.#deliver(socket, this.#result)
    await Promise.all(sent)
  }

  #messageOf(report: Report): object | undefined {
    return this.#jobUuid && this.#dialect?.report(report, this.#jobUuid)
  }

  /**
   * Sends the answer and closes. The answer is delivered when the peer answers the close: it has read all that came
   * before.
   */
  async #deliver(socket: MinerSocket, result: JobResult): Promise<void> {
    const answer = this.#jobUuid && this.#dialect?.answer(this.#jobUuid, result)
    if (!answer || !(await this.#send(socket, answer))) return
    await socket.close(1000, '', this.#options.acknowledgeMs ?? ACKNOWLEDGE_MS)
    const { code } = await socket.closed
    if (!ACKNOWLEDGED_CODES.includes(code) || this.#end) return
    this.#end = 'answered'
    this.#answered.resolve()
  }

  async #receive(
    socket: MinerSocket,
    dialect: Dialect,
    frame: string | Uint8Array,
    received: Received,
  ): Promise<unknown> {
    const isFirst = received.messages === 0
    received.messages += 1
    const parsed = dialect.parse(frame)
    if (!parsed.ok) return this.#sendError(socket, parsed.error.message)
    const { message } = parsed
    if (message.kind === 'error') return this.#noteError(socket, message.details, isFirst)
    const { orderError } = await import('./message-order.ts')
    const wrong = orderError(message, this.#progress.stage, this.#jobUuid)
    if (wrong !== undefined) return this.#sendError(socket, wrong)
    received.wasOfUse()
    if (message.kind === 'offer') {
      this.#dialect = dialect
      this.#jobUuid = message.offer.jobUuid
      this.#options.log.info({ dialect: dialect.name }, 'the miner offered a job')
      this.#progress.transition('offer', message.offer.jobUuid)
      this.#offer.resolve(message.offer)
    } else {
      this.#progress.transition('work', message.work.jobUuid)
      this.#work.resolve(message.work)
    }
  }

  /** Logs the miner's error. An error as the first message means that the miner refuses this executor. */
  #noteError(socket: MinerSocket, details: string | null, isFirst: boolean): void {
    this.#options.log.warn({ first: isFirst }, 'the miner reports an error')
    this.#options.log.debug({ details }, "details of the miner's error")
    if (!isFirst || this.#progress.stage !== 'idle') return
    this.#end = 'refused'
    // Some miners leave the connection open.
    void socket.close(1000)
  }

  #sendError(socket: MinerSocket, details: string): Promise<boolean> {
    this.#options.log.warn({ details }, 'the miner sent a message that is invalid or out of order')
    return this.#send(socket, { message_type: 'GenericError', details })
  }

  /** Returns false when the connection closed meanwhile: then the message is sent again after the reconnect. */
  async #send(socket: MinerSocket, message: object): Promise<boolean> {
    try {
      await socket.send(message)
      return true
    } catch (error) {
      if (error instanceof SocketClosedError) return false
      throw error
    }
  }
}

function isRefusal(status: number | undefined): boolean {
  return status !== undefined && status >= 400 && status < 500
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) return reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  return Promise.race([promise, aborted])
}
