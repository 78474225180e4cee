import type { Hotkey } from '@horde/chain/wallet'
import { type Log, silentLog } from '@horde/kit/log'
import { type BackoffOptions, keepConnected } from '@horde/kit/reconnect'
import { dialSocket, type Socket, SocketClosedError } from '@horde/kit/socket'
import { Inbox } from '@horde/kit/socket/inbox'
import type { Clock } from '@horde/kit/time'
import type { Parsed } from '@horde/protocol/frame'
import { authenticationBytes } from '@horde/protocol/handshake/signing'
import type { JobReport, JobRequest } from '@horde/protocol/job/messages'
import { hotkey as hotkeySchema, uuidKey } from '@horde/protocol/primitives'
import {
  CAPABILITIES,
  type MinerMessage,
  parseFromMiner,
  type V0AuthenticateRequest,
  type V0ExecutorManifestRequest,
  type ValidatorMessage,
} from '@horde/protocol/v0/validator-miner'
import { reportFromV0, requestToV0 } from '@horde/protocol/v0/validator-miner-codec'

/** The executor classes that a miner offers, with how many executors of each. */
export type Manifest = V0ExecutorManifestRequest['manifest']['executor_classes']

/** `at`: the frame's arrival, in ms of the monotonic clock. Connections are numbered from 1. */
export type MessageEvent = { type: 'message'; report: JobReport; connection: number; at: number }

/** What a channel delivers. */
export type ChannelEvent =
  | { type: 'connected'; connection: number }
  | { type: 'lost' }
  | { type: 'manifest'; manifest: Manifest }
  | MessageEvent
  /** An error message from the miner. */
  | { type: 'complained'; text: string }
  /** The connection will not be dialled again. `refused`: the miner does not accept this validator. */
  | { type: 'over'; refused: boolean }

/** As v0 validators reconnect: six attempts, 2, 4, 8, 16 and 32 s apart, each with up to a second more. */
export const RECONNECT: BackoffOptions = { minMs: 2_000, maxMs: 32_000, factor: 2, jitterMs: 1_000 }
export const RECONNECT_ATTEMPTS = 6
/** How many events of one channel may wait to be read; what comes beyond it is dropped. */
const MAX_WAITING = 100
/** How much of a miner's error message is passed on, in characters. */
const MAX_COMPLAINT_CHARACTERS = 1_000
/** Uptime after which the retry counter resets, in ms. */
const STABLE_MS = 60_000
/** How many invalid frames are answered with an error on one connection. */
const MAX_ERRORS_SENT = 20
/** How many of a miner's error messages are passed on to its jobs: each goes to all of them. */
const MAX_ERRORS_RECEIVED = 20
/** Added to a frame's length when received bytes are counted: an empty frame costs work too. */
const FRAME_COST_BYTES = 4 * 1024

export interface MinerToDial {
  readonly hotkey: string
  /** host:port, an IPv6 host in brackets. */
  readonly address: string
}

export interface MinerConnectionOptions {
  miner: MinerToDial
  /** The validator's. */
  hotkey: Hotkey
  /** The largest frame accepted from the miner, in bytes. */
  maxFrameBytes: number
  /**
   * How much the miner may send in all, in bytes, with 4 KiB added for each frame: beyond it the connection is closed
   * for good. Default: no limit.
   */
  maxBytes?: number | undefined
  reconnect?: BackoffOptions
  /** How many attempts in a row may fail. Default: 6. */
  attempts?: number
  clock: Clock
  log: Log
  signal: AbortSignal
}

/** What one job sends and receives on a miner's connection. */
export interface JobChannel extends Disposable {
  /** Returns the next event; undefined when `ms` milliseconds brought none. After 'over' nothing else comes. */
  next(ms: number, signal: AbortSignal): Promise<ChannelEvent | undefined>
  /** Resolves once the kernel has the message, with the number of the connection. Rejects with SocketClosedError. */
  send(request: JobRequest): Promise<number>
  /** A message of this connection moved the job: the retry counter resets. */
  moved(connection: number): void
}

type Received = { parsed: Parsed<MinerMessage>; at: number; bytes: number }
type MinerSocket = Socket<Received, ValidatorMessage>

/** The miner sent an error and closed the connection before it sent anything else. */
class RefusedError extends Error {
  override name = 'RefusedError'
}

/** The miner has sent more bytes than it may. */
class TooManyBytesError extends Error {
  override name = 'TooManyBytesError'
}

/** A connection to one miner. Reconnects and authenticates when it is lost. Never repeats a message by itself. */
export class MinerConnection implements AsyncDisposable {
  readonly #options: MinerConnectionOptions
  /** By job; under a symbol for a channel of no job. */
  readonly #inboxes = new Map<string | symbol, Inbox<ChannelEvent>>()
  readonly #ended = new AbortController()
  readonly #running: Promise<void>
  #errorsReceived = 0
  #socket: MinerSocket | undefined
  #connection = 0
  /** Resets the reconnect attempts, because the present connection made progress. */
  #wasOfUse = () => {}
  #manifest: Manifest | undefined
  /** The connection that it came on. */
  #manifestOn = 0
  #over: ChannelEvent | undefined
  /** The miner has sent what it sends to accepted validators only. */
  #isAccepted = false
  #complained = false
  /** The miner's last error message. */
  #complaint: string | undefined
  /** How many frames of this connection were answered with an error. */
  #errorsSent = 0
  /** What the miner has sent on all connections. */
  #bytes = 0

  constructor(options: MinerConnectionOptions) {
    this.#options = { ...options, log: options.log.child({ miner: options.miner.hotkey }) }
    this.#running = this.#run(AbortSignal.any([options.signal, this.#ended.signal]))
  }

  /**
   * Opens a channel for one job: its messages from now on. What the connection knows already comes first. Without a
   * job: only what concerns the connection itself, such as manifests.
   */
  channel(jobUuid?: string): JobChannel {
    const key = jobUuid === undefined ? Symbol('no job') : uuidKey(jobUuid)
    const inbox = new Inbox<ChannelEvent>({ clock: this.#options.clock, maxWaiting: MAX_WAITING })
    this.#inboxes.set(key, inbox)
    if (this.#socket) inbox.put({ type: 'connected', connection: this.#connection })
    if (this.#manifest) inbox.put({ type: 'manifest', manifest: this.#manifest })
    if (this.#complaint !== undefined) inbox.put({ type: 'complained', text: this.#complaint })
    if (this.#over) inbox.end(this.#over)
    return {
      next: (ms, signal) => inbox.next(ms, signal),
      send: request => this.#send(request),
      moved: connection => {
        if (connection === this.#connection) this.#wasOfUse()
      },
      [Symbol.dispose]: () => void this.#inboxes.delete(key),
    }
  }

  get isConnected(): boolean {
    return this.#socket !== undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort()
    await this.#running
  }

  async #send(request: JobRequest): Promise<number> {
    const connection = this.#connection
    if (!this.#socket) throw new SocketClosedError('not connected')
    await this.#socket.send(requestToV0(request))
    return connection
  }

  async #run(signal: AbortSignal): Promise<void> {
    let refused = false
    await keepConnected({
      dial: aborted => this.#dial(aborted),
      use: (socket, aborted, wasOfUse) => this.#use(socket, aborted, wasOfUse),
      backoff: this.#options.reconnect ?? RECONNECT,
      maxAttempts: this.#options.attempts ?? RECONNECT_ATTEMPTS,
      stableMs: STABLE_MS,
      isFinal: error => {
        refused = error instanceof RefusedError
        return refused || error instanceof TooManyBytesError
      },
      clock: this.#options.clock,
      // A miner that cannot be reached is not worth an operator's attention. The result of its job says so.
      log: silentLog,
      signal,
    })
    this.#over = { type: 'over', refused }
    for (const inbox of this.#inboxes.values()) inbox.end(this.#over)
  }

  #dial(signal: AbortSignal): Promise<MinerSocket> {
    const { miner, hotkey, maxFrameBytes, clock, log } = this.#options
    return dialSocket<Received, ValidatorMessage>(`ws://${miner.address}/v0.1/validator_interface/${hotkey.ss58}`, {
      // Frames are parsed as they are read, and the reader never pauses: this is the moment of the frame's arrival.
      parse: frame => ({
        at: clock.monotonic(),
        parsed: parseFromMiner(frame),
        bytes: frame.length + FRAME_COST_BYTES,
      }),
      maxFrameBytes,
      log,
      signal,
    })
  }

  async #use(socket: MinerSocket, signal: AbortSignal, wasOfUse: () => void): Promise<void> {
    const { miner, hotkey, clock, log } = this.#options
    // A miner that reads nothing would block our sending, and with it the closing.
    using _ = onAbort(signal, () => void socket.close())
    await socket.send(authenticate(hotkey, miner.hotkey, clock.now()))
    this.#socket = socket
    this.#connection += 1
    this.#wasOfUse = wasOfUse
    this.#errorsSent = 0
    this.#deliverToAll({ type: 'connected', connection: this.#connection })
    log.debug({ connection: this.#connection }, 'miner connected')
    try {
      for (let received = await socket.receive(signal); received; received = await socket.receive(signal))
        await this.#take(received, socket)
    } finally {
      this.#socket = undefined
      this.#deliverToAll({ type: 'lost' })
    }
    log.debug({ connection: this.#connection, ...(await socket.closed) }, 'miner disconnected')
    if (this.#complained && !this.#isAccepted) throw new RefusedError('the miner refused the authentication')
  }

  async #take({ parsed, at, bytes }: Received, socket: MinerSocket): Promise<void> {
    const { log, maxBytes = Number.POSITIVE_INFINITY } = this.#options
    this.#bytes += bytes
    if (this.#bytes > maxBytes) throw new TooManyBytesError(`more than ${maxBytes} bytes`)
    if (!parsed.ok) {
      log.debug({ err: parsed.error }, 'invalid frame from a miner')
      this.#errorsSent += 1
      if (this.#errorsSent > MAX_ERRORS_SENT) return
      await socket.send({ message_type: 'GenericError', details: parsed.error.message }).catch(() => {})
      return
    }
    const { message } = parsed
    if (message.message_type === 'GenericError' || message.message_type === 'UnauthorizedError') {
      this.#complained = true
      log.debug({ complaint: message }, 'miner complained')
      this.#receiveComplaint(message.details ?? '')
      if (message.message_type === 'UnauthorizedError' && !this.#isAccepted) throw new RefusedError(message.code)
    } else if (message.message_type === 'V0ExecutorManifestRequest') {
      this.#isAccepted = true
      if (this.#manifestOn === this.#connection) return
      this.#manifestOn = this.#connection
      this.#manifest = message.manifest.executor_classes
      this.#deliverToAll({ type: 'manifest', manifest: this.#manifest })
    } else {
      this.#isAccepted = true
      this.#deliver(reportFromV0(message), at)
    }
  }

  #receiveComplaint(text: string): void {
    this.#errorsReceived += 1
    if (this.#errorsReceived > MAX_ERRORS_RECEIVED) return
    this.#complaint = text.slice(0, MAX_COMPLAINT_CHARACTERS)
    this.#deliverToAll({ type: 'complained', text: this.#complaint })
  }

  #deliver(report: JobReport, at: number): void {
    const { log } = this.#options
    const { jobUuid, type } = report
    const inbox = this.#inboxes.get(uuidKey(jobUuid))
    if (!inbox) log.debug({ jobUuid, type }, 'message about an unknown job ignored')
    else if (!inbox.put({ type: 'message', report, connection: this.#connection, at })) {
      log.debug({ jobUuid, type }, 'message dropped: too many are waiting')
    }
  }

  #deliverToAll(event: ChannelEvent): void {
    for (const inbox of this.#inboxes.values()) inbox.put(event)
  }
}

/**
 * Returns the first message to a miner: who we are, signed for this miner and moment, and which additions we
 * understand.
 *
 * @param nowMs ms since the epoch
 */
export function authenticate(hotkey: Hotkey, minerHotkey: string, nowMs: number): V0AuthenticateRequest {
  const payload = {
    validator_hotkey: hotkeySchema.parse(hotkey.ss58),
    miner_hotkey: hotkeySchema.parse(minerHotkey),
    timestamp: Math.floor(nowMs / 1000),
  }
  const signature = `0x${Buffer.from(hotkey.sign(authenticationBytes(payload))).toString('hex')}`
  return { message_type: 'V0AuthenticateRequest', payload, signature, capabilities: [...CAPABILITIES] }
}

function onAbort(signal: AbortSignal, act: () => void): Disposable {
  signal.addEventListener('abort', act, { once: true })
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', act) }
}
