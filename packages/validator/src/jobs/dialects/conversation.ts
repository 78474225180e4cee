import type { Log } from '@horde/kit/log'
import { type Socket, SocketClosedError } from '@horde/kit/socket'
import type { Clock } from '@horde/kit/time'
import { LARGE_FRAME_BYTES } from '@horde/protocol/frame'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import type { Ends, MinerDialect, ReadFrame, ReadMessage } from './miner-dialect.ts'
import { type Expectation, Negotiation } from './negotiation.ts'
import { V0 } from './v0.ts'
import { V2026 } from './v2026.ts'

/** How long a miner whose dialect is unknown may take to answer the authentication, in ms. */
const ANSWER_MS = 2_000
/** How many frames about jobs are kept until the dialect is known. */
const MAX_EARLY = 100
/** How many bytes of them: as many as the largest frame has. */
const MAX_EARLY_BYTES = LARGE_FRAME_BYTES
/** How many invalid frames are answered with an error on one connection. */
const MAX_ERRORS_SENT = 20
/** The close code of a miner that ends a connection on purpose. */
const ON_PURPOSE = 1000

/** A text that miners of v2026 may send, and that is no message. */
const KEEP_ALIVE = 'PING'
const IGNORED = { ok: true, message: { type: 'nothing' } } as const

export const BY_NAME: Record<Dialect, MinerDialect> = { v0: V0, v2026: V2026 }

/** A frame as the socket read it. */
export interface ReceivedFrame {
  frame: string | Uint8Array
  /** When it arrived, in ms of the monotonic clock. */
  at: number
  /** What it costs to read it. */
  bytes: number
}

export type MinerSocket = Socket<ReceivedFrame, object>

export interface ConversationOptions {
  socket: MinerSocket
  expected: Expectation
  ends: Ends
  clock: Clock
  log: Log
  /**
   * Called when offers can be sent, in this dialect; once more when the miner turns out to speak the other one: it has
   * understood nothing of what was sent about jobs until then.
   */
  onOpened(dialect: Dialect): void
  /** Called with each message. Throws to end the conversation. */
  onMessage(message: Exclude<ReadMessage, { type: 'nothing' }>, at: number): void
  /** Called with what each frame costs. Throws to end the conversation. */
  onBytes(bytes: number): void
}

/** What the validator and a miner say on one connection. Finds out which dialect the miner speaks. */
export class Conversation {
  readonly negotiation: Negotiation
  readonly #options: ConversationOptions
  /** Frames that came before the dialect was known. */
  readonly #early: ReceivedFrame[] = []
  /** The bytes of all frames that came so. */
  #earlyBytes = 0
  /** Aborts once the miner's silence says nothing any more. */
  readonly #answered = new AbortController()
  #errorsSent = 0

  constructor(options: ConversationOptions) {
    this.#options = options
    this.negotiation = new Negotiation(options.expected)
  }

  /** Resolves once the kernel has the message. Rejects with SocketClosedError. */
  send(message: object): Promise<void> {
    return this.#options.socket.send(message)
  }

  /** Talks until the connection ends. Returns whether to dial again at once, and to authenticate in v0 then. */
  async run(signal: AbortSignal): Promise<'ended' | 'dial again'> {
    const { socket, onBytes, log } = this.#options
    // A miner that reads nothing would block our sending, and with it the closing.
    using _ = onAbort(signal, () => void socket.close())
    const isSent = await this.#authenticate(this.negotiation.first)
    if (isSent && this.negotiation.dialect) this.#open(this.negotiation.dialect)
    if (this.negotiation.waitsForAnswer) void this.#awaitAnswer()
    try {
      for (let received = await socket.receive(signal); received; received = await socket.receive(signal)) {
        onBytes(received.bytes)
        await this.#take(received)
      }
    } finally {
      this.#answered.abort()
    }
    const { code, reason } = await socket.closed
    log.debug({ code, reason, dialect: this.negotiation.dialect }, 'miner disconnected')
    return code === ON_PURPOSE && this.negotiation.mayDialAgain ? 'dial again' : 'ended'
  }

  /** Returns false when the miner has closed the connection, perhaps behind an error that is still to be read. */
  async #authenticate(dialect: Dialect): Promise<boolean> {
    const { ends, clock } = this.#options
    try {
      await this.send(BY_NAME[dialect].authentication(ends, clock.now()))
      return true
    } catch (error) {
      if (error instanceof SocketClosedError) return false
      throw error
    }
  }

  #open(dialect: Dialect): void {
    this.#answered.abort()
    this.#options.log.debug({ dialect }, 'miner connected')
    this.#options.onOpened(dialect)
  }

  async #awaitAnswer(): Promise<void> {
    const isSilent = await this.#options.clock.sleep(ANSWER_MS, this.#answered.signal).then(
      () => true,
      () => false,
    )
    // The connection may end meanwhile: `run` notices that.
    if (isSilent && this.negotiation.receivedNothing()) await this.#goOnInV0().catch(() => {})
  }

  async #goOnInV0(): Promise<void> {
    if (!(await this.#authenticate('v0'))) return
    this.#open('v0')
    await this.#takeEarly()
  }

  async #takeEarly(): Promise<void> {
    for (const received of this.#early.splice(0)) await this.#take(received)
  }

  async #take(received: ReceivedFrame): Promise<void> {
    const read = this.#read(received.frame)
    if (read === undefined) {
      this.#earlyBytes += received.bytes
      if (this.#early.length < MAX_EARLY && this.#earlyBytes <= MAX_EARLY_BYTES) this.#early.push(received)
    } else if (!read.ok) await this.#answerInvalid(read.error)
    else if (read.message.type === 'manifest' && read.isMap) await this.#takeMap(read.message, received.at)
    else if (read.message.type === 'error') await this.#takeError(read.message, received.at)
    else if (read.message.type !== 'nothing') {
      this.negotiation.receivedV0()
      this.#options.onMessage(read.message, received.at)
    }
  }

  async #takeError(message: Extract<ReadMessage, { type: 'error' }>, at: number): Promise<void> {
    const other = this.negotiation.receivedError()
    if (other !== undefined) {
      this.#options.log.debug(
        { details: message.text, dialect: other },
        'miner sent an error, trying the other dialect',
      )
    }
    // Only the error that answers a first question is no complaint.
    if (other === 'v0') return this.#goOnInV0()
    if (other === 'v2026') await this.#authenticate('v2026')
    this.#options.onMessage(message, at)
  }

  async #takeMap(message: Extract<ReadMessage, { type: 'manifest' }>, at: number): Promise<void> {
    if (this.negotiation.receivedMap()) this.#open('v2026')
    this.#options.onMessage(message, at)
    await this.#takeEarly()
  }

  /** Returns undefined for a message that has to wait until the dialect is known. */
  #read(frame: string | Uint8Array): (ReadFrame & { isMap?: boolean }) | undefined {
    const { readsIn } = this.negotiation
    if (readsIn === 'v2026') return frame === KEEP_ALIVE ? IGNORED : { ...V2026.read(frame), isMap: true }
    const inV0 = readsIn === 'v0' ? V0.read(frame) : undefined
    if (inV0?.ok || (inV0 && !mayBeManifest(frame))) return inV0
    const inV2026 = V2026.read(frame)
    if (inV2026.ok && inV2026.message.type === 'manifest') return { ...inV2026, isMap: true }
    const isError = inV2026.ok && inV2026.message.type === 'error'
    return inV0 ?? (isError ? inV2026 : undefined)
  }

  async #answerInvalid(error: Error): Promise<void> {
    this.#options.log.debug({ err: error }, 'invalid frame from a miner')
    this.#errorsSent += 1
    if (this.#errorsSent > MAX_ERRORS_SENT) return
    await this.send({ message_type: 'GenericError', details: error.message }).catch(() => {})
  }
}

/** Frames without the name of the manifest need not be read in the other dialect, too. */
function mayBeManifest(frame: string | Uint8Array): boolean {
  return typeof frame === 'string' && frame.includes('V0ExecutorManifestRequest')
}

function onAbort(signal: AbortSignal, act: () => void): Disposable {
  signal.addEventListener('abort', act, { once: true })
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', act) }
}
