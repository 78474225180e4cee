import type { Hotkey } from '@horde/chain/wallet'
import { type Log, silentLog } from '@horde/kit/log'
import { type BackoffOptions, keepConnected } from '@horde/kit/reconnect'
import { dialSocket, type Socket, SocketClosedError } from '@horde/kit/socket'
import { Inbox } from '@horde/kit/socket/inbox'
import type { Clock } from '@horde/kit/time'
import type { Parsed } from '@horde/protocol/frame'
import { uuidKey } from '@horde/protocol/primitives'
import {
  type MinerMessage,
  parseFromMiner,
  type V0ExecutorManifestRequest,
  type ValidatorMessage,
} from '@horde/protocol/validator-miner'
import { authenticate } from './authenticate.ts'

/** What a miner says about one job. */
export type JobWord = Extract<MinerMessage, { job_uuid: string }>

/** What a miner says that it has. */
export type Manifest = V0ExecutorManifestRequest['manifest']['executor_classes']

/** What one job learns from its miner's link. Connections are numbered from 1. */
export type LinkEvent =
  | { type: 'connected'; connection: number }
  | { type: 'lost' }
  | { type: 'manifest'; manifest: Manifest }
  /** `at`: the frame's arrival, in ms of the monotonic clock. */
  | { type: 'said'; word: JobWord; connection: number; at: number }
  /** The miner says that something is wrong, in its own words. */
  | { type: 'complained'; text: string }
  /** Nobody will dial again. `refused`: the miner does not want this validator. */
  | { type: 'over'; refused: boolean }

/** How Python validators come back: six attempts, 2, 4, 8, 16 and 32 s apart and up to a second more. */
export const RECONNECT: BackoffOptions = { minMs: 2_000, maxMs: 32_000, factor: 2, jitterMs: 1_000 }
export const RECONNECT_ATTEMPTS = 6
/** How much waits unheard at most; a peer that says more about one job has lost the rest. */
const MAX_WAITING = 100
/** How much of a complaint is passed on, in characters. */
const MAX_COMPLAINT_CHARACTERS = 1_000
/** A connection that lived so long makes the next loss a first one, in ms. */
const STABLE_MS = 60_000
/** How many frames that are no messages are answered on one connection; a peer that says more of them knows. */
const MAX_COMPLAINTS = 20
/** How many complaints of the miner's are passed on to its jobs: each goes to all of them. */
const MAX_COMPLAINTS_HEARD = 20
/** What a frame counts as beyond its length, in bytes: an empty one is work too. */
const FRAME_COST_BYTES = 4 * 1024

export interface MinerToDial {
  readonly hotkey: string
  /** host:port, an IPv6 host in brackets. */
  readonly address: string
}

export interface LinkOptions {
  miner: MinerToDial
  /** Who dials. */
  hotkey: Hotkey
  /** The largest frame that the miner may send, in bytes. */
  maxFrameBytes: number
  /** How much the miner may send in all, in bytes, 4 KiB more for each frame: beyond it nobody listens any more. Default: no limit. */
  maxBytes?: number | undefined
  reconnect?: BackoffOptions
  /** How many connections in a row may come to nothing. Default: 6. */
  attempts?: number
  clock: Clock
  log: Log
  signal: AbortSignal
}

/** One job's part of a link. */
export interface Conversation extends Disposable {
  /** The next event; undefined when `ms` milliseconds brought none. After 'over' there is nothing else. */
  next(ms: number, signal: AbortSignal): Promise<LinkEvent | undefined>
  /** Resolves once the kernel has it, with the number of the connection. Rejects with SocketClosedError. */
  say(message: ValidatorMessage): Promise<number>
  /** The job has moved by what was said on this connection: its loss is the first one in a row. */
  moved(connection: number): void
}

type Heard = { parsed: Parsed<MinerMessage>; at: number; bytes: number }
type MinerSocket = Socket<Heard, ValidatorMessage>

/** The miner closed the door behind an error before it ever said anything else. */
class RefusedError extends Error {
  override name = 'RefusedError'
}

/** The miner has sent more than it may. */
class TooMuchError extends Error {
  override name = 'TooMuchError'
}

/** A connection to one miner that comes back when it is lost, authenticated each time. It repeats nothing by itself. */
export class MinerLink implements AsyncDisposable {
  readonly #options: LinkOptions
  /** By job; under a symbol, who hears what concerns no job. */
  readonly #inboxes = new Map<string | symbol, Inbox<LinkEvent>>()
  readonly #ended = new AbortController()
  readonly #running: Promise<void>
  #complaintsHeard = 0
  #socket: MinerSocket | undefined
  #connection = 0
  /** Says that the present connection was of use. */
  #wasOfUse = () => {}
  #manifest: Manifest | undefined
  /** The connection that told it. */
  #manifestOn = 0
  #over: LinkEvent | undefined
  /** The miner has said something that only an accepted validator hears. */
  #welcome = false
  #complained = false
  /** What it said is wrong, last. */
  #complaint: string | undefined
  /** How many frames of this connection were answered with an error. */
  #complaints = 0
  /** How much the miner has sent on all connections. */
  #bytes = 0

  constructor(options: LinkOptions) {
    this.#options = { ...options, log: options.log.child({ miner: options.miner.hotkey }) }
    this.#running = this.#run(AbortSignal.any([options.signal, this.#ended.signal]))
  }

  /** What is said about one job from now on; what the link knows already comes first. */
  converse(jobUuid: string): Conversation {
    return this.#open(uuidKey(jobUuid))
  }

  /** What is said about the link itself: connections and manifests. */
  listen(): Conversation {
    return this.#open(Symbol('link'))
  }

  #open(key: string | symbol): Conversation {
    const inbox = new Inbox<LinkEvent>({ clock: this.#options.clock, maxWaiting: MAX_WAITING })
    this.#inboxes.set(key, inbox)
    if (this.#socket) inbox.put({ type: 'connected', connection: this.#connection })
    if (this.#manifest) inbox.put({ type: 'manifest', manifest: this.#manifest })
    if (this.#complaint !== undefined) inbox.put({ type: 'complained', text: this.#complaint })
    if (this.#over) inbox.end(this.#over)
    return {
      next: (ms, signal) => inbox.next(ms, signal),
      say: message => this.#say(message),
      moved: connection => {
        if (connection === this.#connection) this.#wasOfUse()
      },
      [Symbol.dispose]: () => void this.#inboxes.delete(key),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort()
    await this.#running
  }

  async #say(message: ValidatorMessage): Promise<number> {
    const connection = this.#connection
    if (!this.#socket) throw new SocketClosedError('not connected')
    await this.#socket.say(message)
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
        return refused || error instanceof TooMuchError
      },
      clock: this.#options.clock,
      // A stranger who cannot be reached is not worth an operator's attention: the end of its job tells.
      log: silentLog,
      signal,
    })
    this.#over = { type: 'over', refused }
    for (const inbox of this.#inboxes.values()) inbox.end(this.#over)
  }

  #dial(signal: AbortSignal): Promise<MinerSocket> {
    const { miner, hotkey, maxFrameBytes, clock, log } = this.#options
    return dialSocket<Heard, ValidatorMessage>(`ws://${miner.address}/v0.1/validator_interface/${hotkey.ss58}`, {
      // Parsed as it is heard, and somebody always hears: this is the moment of the frame's arrival.
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
    // A miner that takes nothing off the wire would hold up whoever says something to it, and with that the end.
    using _ = onAbort(signal, () => void socket.close())
    await socket.say(authenticate(hotkey, miner.hotkey, clock.now()))
    this.#socket = socket
    this.#connection += 1
    this.#wasOfUse = wasOfUse
    this.#complaints = 0
    this.#tellAll({ type: 'connected', connection: this.#connection })
    log.debug({ connection: this.#connection }, 'miner connected')
    try {
      for (let heard = await socket.hear(signal); heard; heard = await socket.hear(signal))
        await this.#take(heard, socket)
    } finally {
      this.#socket = undefined
      this.#tellAll({ type: 'lost' })
    }
    log.debug({ connection: this.#connection, ...(await socket.closed) }, 'miner disconnected')
    if (this.#complained && !this.#welcome) throw new RefusedError('the miner refused the authentication')
  }

  async #take({ parsed, at, bytes }: Heard, socket: MinerSocket): Promise<void> {
    const { log, maxBytes = Number.POSITIVE_INFINITY } = this.#options
    this.#bytes += bytes
    if (this.#bytes > maxBytes) throw new TooMuchError(`more than ${maxBytes} bytes`)
    if (!parsed.ok) {
      log.debug({ err: parsed.error }, 'frame of a miner not understood')
      this.#complaints += 1
      if (this.#complaints > MAX_COMPLAINTS) return
      await socket.say({ message_type: 'GenericError', details: parsed.error.message }).catch(() => {})
      return
    }
    const { message } = parsed
    if (message.message_type === 'GenericError' || message.message_type === 'UnauthorizedError') {
      this.#complained = true
      log.debug({ complaint: message }, 'miner complained')
      this.#hearComplaint(message.details ?? '')
      if (message.message_type === 'UnauthorizedError' && !this.#welcome) throw new RefusedError(message.code)
    } else if (message.message_type === 'V0ExecutorManifestRequest') {
      this.#welcome = true
      if (this.#manifestOn === this.#connection) return
      this.#manifestOn = this.#connection
      this.#manifest = message.manifest.executor_classes
      this.#tellAll({ type: 'manifest', manifest: this.#manifest })
    } else {
      this.#welcome = true
      this.#pass(message, at)
    }
  }

  #hearComplaint(text: string): void {
    this.#complaintsHeard += 1
    if (this.#complaintsHeard > MAX_COMPLAINTS_HEARD) return
    this.#complaint = text.slice(0, MAX_COMPLAINT_CHARACTERS)
    this.#tellAll({ type: 'complained', text: this.#complaint })
  }

  #pass(word: JobWord, at: number): void {
    const { log } = this.#options
    const inbox = this.#inboxes.get(uuidKey(word.job_uuid))
    if (!inbox) log.debug({ jobUuid: word.job_uuid, word: word.message_type }, 'word about an unknown job ignored')
    else if (!inbox.put({ type: 'said', word, connection: this.#connection, at })) {
      log.debug({ jobUuid: word.job_uuid, word: word.message_type }, 'word dropped: too many wait')
    }
  }

  #tellAll(event: LinkEvent): void {
    for (const inbox of this.#inboxes.values()) inbox.put(event)
  }
}

function onAbort(signal: AbortSignal, act: () => void): Disposable {
  signal.addEventListener('abort', act, { once: true })
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', act) }
}
