import type { Hotkey } from '@horde/chain/wallet'
import { type Log, silentLog } from '@horde/kit/log'
import { type BackoffOptions, keepConnected } from '@horde/kit/reconnect'
import { dialSocket, SocketClosedError } from '@horde/kit/socket'
import type { Clock } from '@horde/kit/time'
import { CAPABILITIES_HEADER, capabilitiesIn } from '@horde/protocol/handshake/capabilities'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import type { SignedReceipt } from '../db/jobs.ts'
import { BY_NAME, Conversation, type MinerSocket, type ReceivedFrame } from './dialects/conversation.ts'
import type { KnownDialects } from './dialects/known-dialects.ts'
import type { Ends, Manifest, MinerDialect, ReadMessage, Written } from './dialects/miner-dialect.ts'
import type { Expectation, Negotiation } from './dialects/negotiation.ts'
import { CAPABILITIES } from './dialects/v2026.ts'
import type { ChannelEvent, ConnectedEvent, JobChannel, MinerToDial } from './job-channel.ts'
import { JobInboxes } from './job-inboxes.ts'

/** As v0 validators reconnect: six attempts, 2, 4, 8, 16 and 32 s apart, each with up to a second more. */
export const RECONNECT: BackoffOptions = { minMs: 2_000, maxMs: 32_000, factor: 2, jitterMs: 1_000 }
export const RECONNECT_ATTEMPTS = 6
/** How much of a miner's error message is passed on, in characters. */
const MAX_COMPLAINT_CHARACTERS = 1_000
/** Uptime after which the retry counter resets, in ms. */
const STABLE_MS = 60_000
/** How many of a miner's error messages are passed on to its jobs: each goes to all of them. */
const MAX_ERRORS_RECEIVED = 20
/** Added to a frame's length when received bytes are counted: an empty frame costs work too. */
const FRAME_COST_BYTES = 4 * 1024

export interface MinerConnectionOptions {
  miner: MinerToDial
  /** The validator's. */
  hotkey: Hotkey
  /** What is known of the miners' dialects. */
  dialects: Pick<KnownDialects, 'of' | 'remember' | 'forget'>
  /** The dialect that the jobs of this connection began in. Undefined: they begin with it. */
  startedIn?: Dialect | undefined
  /** Called with each receipt that was sent to the miner. */
  onReceipt?: ((receipt: SignedReceipt) => void) | undefined
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

/** The miner sent an error and closed the connection before it sent anything else. */
class RefusedError extends Error {
  override name = 'RefusedError'
}

/** The miner has sent more bytes than it may. */
class TooManyBytesError extends Error {
  override name = 'TooManyBytesError'
}

/**
 * A connection to one miner. Finds out which dialect the miner speaks. Reconnects and authenticates when it is lost.
 * Never repeats a message by itself.
 */
export class MinerConnection implements AsyncDisposable {
  readonly #options: MinerConnectionOptions
  readonly #ends: Ends
  readonly #inboxes: JobInboxes
  readonly #ended = new AbortController()
  readonly #running: Promise<void>
  #errorsReceived = 0
  /** The conversation in which the miner can be sent offers. */
  #open: { conversation: Conversation; dialect: Dialect; event: ConnectedEvent } | undefined
  #connection = 0
  /** The dialect of the connection before, which the next one keeps. */
  #dialect: Dialect | undefined
  /** What the next connection expects when nothing else is known. */
  #otherwise: Expectation = { by: 'nothing' }
  /** Whether the answer that opened the present connection names v2026. */
  #isToldV2026 = false
  /** Whether what was sent on the connection before was not read. */
  #wasNotRead = false
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
  /** What the miner has sent on all connections. */
  #bytes = 0

  constructor(options: MinerConnectionOptions) {
    this.#options = { ...options, log: options.log.child({ miner: options.miner.hotkey }) }
    this.#inboxes = new JobInboxes(this.#options)
    this.#ends = { hotkey: options.hotkey, minerHotkey: options.miner.hotkey }
    this.#running = this.#run(AbortSignal.any([options.signal, this.#ended.signal]))
  }

  /**
   * Opens a channel for one job: its messages from now on. What the connection knows already comes first. Without a
   * job: only what concerns the connection itself, such as manifests.
   */
  channel(jobUuid?: string): JobChannel {
    const inbox = this.#inboxes.open(jobUuid)
    if (this.#open) inbox.put(this.#open.event)
    if (this.#manifest) inbox.put({ type: 'manifest', manifest: this.#manifest })
    if (this.#complaint !== undefined) inbox.put({ type: 'complained', text: this.#complaint })
    if (this.#over) inbox.end(this.#over)
    return {
      next: (ms, signal) => inbox.next(ms, signal),
      send: (request, terms) => this.#send(({ request: write }, now) => write(request, terms, this.#ends, now)),
      notify: async (notice, terms) => {
        await this.#send(({ notice: write }, now) => write(notice, terms, this.#ends, now))
      },
      moved: connection => {
        if (connection === this.#connection) this.#wasOfUse()
      },
      [Symbol.dispose]: () => this.#inboxes.close(inbox),
    }
  }

  get isConnected(): boolean {
    return this.#open !== undefined
  }

  /** Whether the miner is addressed in v0 only because it said nothing. */
  get isBySilence(): boolean {
    return this.#open?.conversation.negotiation.isBySilence ?? false
  }

  /** Whether the miner wants another connection for each further job. Known once it is connected. */
  get isPerJob(): boolean {
    return this.#dialect !== undefined && BY_NAME[this.#dialect].isPerJob
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort()
    await this.#running
  }

  async #send(write: (dialect: MinerDialect, now: number) => Written | undefined): Promise<number> {
    const connection = this.#connection
    if (!this.#open) throw new SocketClosedError('not connected')
    const { clock, onReceipt } = this.#options
    const written = write(BY_NAME[this.#open.dialect], clock.now())
    if (!written) return connection
    await this.#open.conversation.send(written.message)
    if (written.receipt) onReceipt?.(written.receipt)
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
    this.#inboxes.endAll(this.#over)
  }

  async #dial(signal: AbortSignal): Promise<MinerSocket> {
    const { miner, hotkey, dialects, maxFrameBytes, clock, log } = this.#options
    this.#isToldV2026 = false
    try {
      return await dialSocket<ReceivedFrame, object>(`ws://${miner.address}/v0.1/validator_interface/${hotkey.ss58}`, {
        headers: { [CAPABILITIES_HEADER]: CAPABILITIES.join(', ') },
        onUpgrade: headers => {
          this.#isToldV2026 = capabilitiesIn(headers[CAPABILITIES_HEADER.toLowerCase()]).includes('2026')
        },
        // The reader never pauses: this is the moment of the frame's arrival.
        parse: frame => ({ frame, at: clock.monotonic(), bytes: frame.length + FRAME_COST_BYTES }),
        maxFrameBytes,
        log,
        signal,
      })
    } catch (error) {
      dialects.forget(miner)
      throw error
    }
  }

  async #use(socket: MinerSocket, signal: AbortSignal, wasOfUse: () => void): Promise<void> {
    this.#wasOfUse = wasOfUse
    const outcome = await this.#converse(socket, this.#expectation(), signal)
    if (outcome === 'ended') return
    this.#options.log.debug('miner closed at the authentication in v2026, dialled again')
    await using again = await this.#dial(signal)
    this.#wasNotRead = true
    await this.#converse(again, { by: 'last-resort', dialect: 'v0' }, signal)
  }

  #expectation(): Expectation {
    const { miner, dialects, startedIn } = this.#options
    const begun = this.#dialect ?? startedIn
    if (begun !== undefined) return { by: 'told', dialect: begun }
    if (this.#isToldV2026) return { by: 'told', dialect: 'v2026' }
    const remembered = dialects.of(miner)
    return remembered === undefined ? this.#otherwise : { by: 'remembered', dialect: remembered }
  }

  async #converse(socket: MinerSocket, expected: Expectation, signal: AbortSignal): Promise<'ended' | 'dial again'> {
    const { clock, log } = this.#options
    const conversation: Conversation = new Conversation({
      ...{ socket, expected, ends: this.#ends, clock, log },
      onOpened: dialect => this.#opened(conversation, dialect),
      onMessage: (message, at) => this.#receive(message, at, conversation.negotiation),
      onBytes: bytes => this.#count(bytes),
    })
    try {
      const outcome = await conversation.run(signal)
      if (outcome === 'dial again') return outcome
    } finally {
      if (this.#open) this.#inboxes.deliverToAll({ type: 'lost' })
      this.#open = undefined
      this.#conclude(conversation.negotiation, expected)
    }
    if (this.#complained && !this.#isAccepted) throw new RefusedError('the miner refused the authentication')
    return 'ended'
  }

  /** Keeps what the end of a connection shows for the next one. */
  #conclude({ isDecided, dialect, first }: Negotiation, { by }: Expectation): void {
    const { dialects, miner } = this.#options
    if (isDecided) return
    if (by === 'remembered') dialects.forget(miner)
    // A miner that went away without a word may do so because of the authentication: the next one is the other.
    const isOtherNext = dialect === undefined && first === 'v2026'
    this.#otherwise = isOtherNext ? { by: 'last-resort', dialect: 'v0' } : { by: 'nothing' }
  }

  #opened(conversation: Conversation, dialect: Dialect): void {
    const hasReadNothing = this.#wasNotRead || this.#open !== undefined
    this.#wasNotRead = false
    this.#dialect = dialect
    this.#connection += 1
    const { repeats, reportsStages, obstacle } = BY_NAME[dialect]
    const event = {
      ...({ type: 'connected', connection: this.#connection, dialect } as const),
      ...{ hasReadNothing, repeats, reportsStages, obstacle },
    }
    this.#open = { conversation, dialect, event }
    this.#inboxes.deliverToAll(event)
  }

  #count(bytes: number): void {
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#options
    this.#bytes += bytes
    if (this.#bytes > maxBytes) throw new TooManyBytesError(`more than ${maxBytes} bytes`)
  }

  #receive(
    message: Exclude<ReadMessage, { type: 'nothing' }>,
    at: number,
    { isMemorable, dialect }: Negotiation,
  ): void {
    const { log, dialects, miner } = this.#options
    if (message.type === 'error') {
      this.#complained = true
      log.debug({ complaint: message.text }, 'miner complained')
      this.#receiveComplaint(message.text)
      if (message.isRefusal && !this.#isAccepted) throw new RefusedError(message.text)
      return
    }
    this.#isAccepted = true
    if (isMemorable && dialect) dialects.remember(miner, dialect)
    if (message.type === 'report') this.#inboxes.deliver(message.report, this.#connection, at)
    if (message.type === 'report' || this.#manifestOn === this.#connection) return
    this.#manifestOn = this.#connection
    this.#manifest = message.manifest
    this.#inboxes.deliverToAll({ type: 'manifest', manifest: this.#manifest })
  }

  #receiveComplaint(text: string): void {
    this.#errorsReceived += 1
    if (this.#errorsReceived > MAX_ERRORS_RECEIVED) return
    this.#complaint = text.slice(0, MAX_COMPLAINT_CHARACTERS)
    this.#inboxes.deliverToAll({ type: 'complained', text: this.#complaint })
  }
}
