/**
 * The conversation with the miner, over as many connections as it takes: what comes is told in order to the walk, what is
 * out of order gets its one defined answer, and what is to be said is said again on the next connection until it is known
 * to have arrived.
 */
import type { Log } from '@horde/kit/log'
import { keepConnected } from '@horde/kit/reconnect'
import { dialSocket, type Socket } from '@horde/kit/socket'
import { DialError, SocketClosedError } from '@horde/kit/socket/errors'
import { DeadlineError, withDeadline } from '@horde/kit/time'
import { CAPABILITIES_HEADER } from '@horde/protocol/capabilities'
import { EXECUTOR_PATH } from '@horde/protocol/executor-address'
import { LARGEST_PASSED_ON_BYTES, type Parsed } from '@horde/protocol/frame'
import type {
  ExecutorMessage,
  MinerToExecutorMessage,
  V0PrepareJobRequest,
  V0RunJobRequest,
} from '@horde/protocol/miner-executor'
import type { JobUuid } from '@horde/protocol/primitives'
import type { LinkState } from './out-of-order.ts'

/** How long the miner may take to acknowledge the answer by closing, in ms; until then it may not have arrived. */
const ACKNOWLEDGE_MS = 15_000
/** How long it may take to do so when nothing hangs on it, in ms: whoever asks this process to stop waits 10 s at most. */
const PARTING_MS = 2_000
/**
 * A connection that lasted so many times the wait for an acknowledgement was a good one: the attempts begin anew. One
 * that only waited in vain was not, or a miner that never acknowledges would be told for ever.
 */
const STABLE_FACTOR = 2
const LONGEST_DELAY_FACTOR = 16
const JITTER_SHARE = 0.5

/** Close codes that acknowledge our own closing. 1005: by a frame without a code. */
const CLOSED_IN_ORDER = [1000, 1005]

type MinerSocket = Socket<string | Uint8Array, ExecutorMessage>
export type Answer = Extract<
  ExecutorMessage,
  { message_type: 'V0FailedToPrepare' | 'V0FinishedRequest' | 'V0FailedRequest' }
>

/** How the conversation ended. */
export type LinkEnd = 'answered' | 'dismissed' | 'refused' | 'no offer' | 'gave up' | 'aborted'

export interface MinerLinkOptions {
  address: string
  token: string
  attempts: number
  delayMs: number
  /** How long the miner may take to acknowledge the answer, in ms. Default: 15 s. */
  acknowledgeMs?: number
  log: Log
}

export class MinerLink {
  readonly #options: MinerLinkOptions
  readonly #connected = Promise.withResolvers<void>()
  readonly #offer = Promise.withResolvers<V0PrepareJobRequest>()
  readonly #work = Promise.withResolvers<V0RunJobRequest>()
  readonly #answered = Promise.withResolvers<void>()
  #socket: MinerSocket | undefined
  #jobUuid: JobUuid | undefined
  #state: LinkState = 'idle'
  #answer: Answer | undefined
  #delivering: Promise<void> | undefined
  #end: LinkEnd | undefined

  constructor(options: MinerLinkOptions) {
    this.#options = options
  }

  /** Stays in touch until the answer is delivered, the miner has no use for this executor, or it cannot be reached. */
  async stay(signal: AbortSignal): Promise<LinkEnd> {
    const { address, token, attempts, delayMs, acknowledgeMs = ACKNOWLEDGE_MS, log } = this.#options
    const url = address.replace(/\/+$/, '') + EXECUTOR_PATH + token
    const outcome = await keepConnected<MinerSocket>({
      dial: signal =>
        dialSocket(url, {
          headers: { [CAPABILITIES_HEADER]: 'large-frames' },
          parse: frame => frame,
          maxFrameBytes: LARGEST_PASSED_ON_BYTES,
          closeTimeoutMs: PARTING_MS,
          log,
          signal,
        }),
      use: (socket, signal, wasOfUse) => this.#use(socket, signal, wasOfUse),
      backoff: { minMs: delayMs, maxMs: delayMs * LONGEST_DELAY_FACTOR, jitterMs: delayMs * JITTER_SHARE },
      maxAttempts: attempts,
      stableMs: acknowledgeMs * STABLE_FACTOR,
      isFinal: error => this.#state === 'idle' && error instanceof DialError && isRefusal(error.status),
      log,
      signal,
    })
    if (outcome === 'done') return this.#end ?? 'answered'
    // What was said last may not have arrived; only that there was nothing to say is certain.
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
   * The job, once the miner offers it.
   *
   * @param ms how long that may take from the first connection on, after which this rejects with DeadlineError, and there is
   *   nothing to stay for; undefined: as long as it takes
   */
  async hearOffer(ms: number | undefined, signal: AbortSignal): Promise<V0PrepareJobRequest> {
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

  /** Says that the job may come; from here on it may. */
  async sayReady(jobUuid: JobUuid): Promise<void> {
    this.#state = 'ready'
    if (this.#socket) await this.#say(this.#socket, { message_type: 'V0ReadyRequest', job_uuid: jobUuid })
  }

  /** The work, once the miner sends it. Rejects with DeadlineError after `ms`. */
  hearWork(ms: number, signal: AbortSignal): Promise<V0RunJobRequest> {
    return withDeadline(orAborted(this.#work.promise, signal), ms, 'waiting for the work of a ready job')
  }

  /** Says the last word. Resolves when the miner has it, on this connection or a later one. */
  answer(answer: Answer, signal: AbortSignal): Promise<void> {
    this.#answer = answer
    if (this.#socket) this.#delivering = this.#deliver(this.#socket, answer)
    return orAborted(this.#answered.promise, signal)
  }

  async #use(socket: MinerSocket, signal: AbortSignal, wasOfUse: () => void): Promise<'done' | undefined> {
    this.#socket = socket
    this.#connected.resolve()
    const heard = { messages: 0, wasOfUse }
    this.#delivering = this.#catchUp(socket)
    // Only what the miner says needs the schemas: they come while its offer is on the way, which the socket keeps.
    const [{ parseFromMiner }, { objectionTo }] = await Promise.all([
      import('@horde/protocol/miner-executor'),
      import('./out-of-order.ts'),
    ])
    for (let frame = await socket.hear(signal); frame !== undefined; frame = await socket.hear(signal)) {
      await this.#hear(socket, parseFromMiner(frame), heard, objectionTo)
    }
    this.#socket = undefined
    const end = await socket.closed
    await this.#delivering
    if (this.#end) return 'done'
    if (this.#state !== 'idle' || end.code !== 1000) return undefined
    this.#end = 'dismissed'
    return 'done'
  }

  /** What the miner may have missed goes out first on a new connection. */
  async #catchUp(socket: MinerSocket): Promise<void> {
    if (this.#answer) return this.#deliver(socket, this.#answer)
    if (this.#state === 'ready' && this.#jobUuid) {
      await this.#say(socket, { message_type: 'V0ReadyRequest', job_uuid: this.#jobUuid })
    }
  }

  /** Delivered is what was followed by a closing handshake: the miner has read everything before it. */
  async #deliver(socket: MinerSocket, answer: Answer): Promise<void> {
    if (!(await this.#say(socket, answer))) return
    await socket.close(1000, '', this.#options.acknowledgeMs ?? ACKNOWLEDGE_MS)
    const { code } = await socket.closed
    if (!CLOSED_IN_ORDER.includes(code) || this.#end) return
    this.#end = 'answered'
    this.#answered.resolve()
  }

  async #hear(
    socket: MinerSocket,
    parsed: Parsed<MinerToExecutorMessage>,
    heard: { messages: number; wasOfUse(): void },
    objectionTo: typeof import('./out-of-order.ts').objectionTo,
  ): Promise<unknown> {
    const isFirst = heard.messages === 0
    heard.messages += 1
    if (!parsed.ok) return this.#object(socket, parsed.error.message)
    const { message } = parsed
    if (message.message_type === 'GenericError') {
      this.#options.log.warn({ first: isFirst }, 'the miner reports an error')
      this.#options.log.debug({ details: message.details }, "the miner's error")
      if (isFirst && this.#state === 'idle') {
        this.#end = 'refused'
        // Some miners leave the connection open.
        void socket.close(1000)
      }
      return
    }
    const wrong = objectionTo(message, this.#state, this.#jobUuid)
    if (wrong !== undefined) return this.#object(socket, wrong)
    heard.wasOfUse()
    if (message.message_type === 'V0PrepareJobRequest') {
      this.#state = 'preparing'
      this.#jobUuid = message.job_uuid
      this.#offer.resolve(message)
    } else {
      this.#state = 'running'
      this.#work.resolve(message)
    }
  }

  #object(socket: MinerSocket, details: string): Promise<boolean> {
    this.#options.log.warn({ details }, 'the miner sent what is not in order')
    return this.#say(socket, { message_type: 'GenericError', details })
  }

  /** A connection that closes while something is said is the reconnect's business. */
  async #say(socket: MinerSocket, message: ExecutorMessage): Promise<boolean> {
    try {
      await socket.say(message)
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
