import type { IncomingHttpHeaders } from 'node:http'
import { type RawData, WebSocket } from 'ws'
import type { Log } from './log.ts'
import { limitControlFrames } from './socket/control-limit.ts'
import { openWebSocket } from './socket/dial.ts'
import { DialError, SocketClosedError } from './socket/errors.ts'
import { startHeartbeat } from './socket/heartbeat.ts'
import { holdClose } from './socket/held-close.ts'
import { FrameQueue } from './socket/queue.ts'
import { Receipts } from './socket/receipts.ts'
import { FrameWriter } from './socket/writer.ts'

export { DialError, SocketClosedError }

/** How often the peer is pinged, and how long it may be silent before the connection is cut, in ms. */
const HEARTBEAT_MS = 20_000
const HEARTBEAT_TIMEOUT_MS = 60_000
/** How many frames may wait unread before reading pauses. */
const MAX_QUEUED_FRAMES = 1_000
/** How long a peer may take to answer a close before the connection is cut, in ms. */
const CLOSE_TIMEOUT_MS = 3_000
/** The most bytes of a close reason, by RFC 6455. */
const MAX_REASON_BYTES = 123

export interface SocketOptions<In> {
  /** Converts a frame (text as string, binary as bytes) to what `receive` returns. Must not throw. */
  parse(frame: string | Uint8Array): In
  /** The largest frame in bytes. A larger one closes the connection with code 1009. */
  maxFrameBytes: number
  heartbeatMs?: number
  heartbeatTimeoutMs?: number
  /** Reading pauses above this many unread frames, or above `maxFrameBytes` of them, so the peer has to wait. */
  maxQueuedFrames?: number
  closeTimeoutMs?: number
  /**
   * Leaves the answer to the peer's close to whoever called: messages end, and `close` answers. Otherwise it is answered
   * as soon as it is read.
   */
  holdsClose?: boolean
  log: Log
}

/** How a connection ended. Code 1006: without a closing handshake. */
export interface SocketEnd {
  code: number
  reason: string
}

/** A message that is being sent, with a receipt. */
export interface SentMessage {
  /** Resolves once the kernel has the message. Rejects with SocketClosedError. */
  sent: Promise<void>
  /**
   * Resolves to true once the peer's WebSocket has read the message: it has answered a ping that followed it. Resolves
   * to false when the connection ended before that; the message may have arrived anyway. Never rejects.
   */
  acknowledged: Promise<boolean>
}

/**
 * A WebSocket that sends messages of type Out (`send`) and receives messages of type In (`receive`). Frames are queued
 * from the moment it exists. When the queue is full, reading pauses and the peer has to wait.
 */
export class Socket<In, Out> implements AsyncDisposable {
  /** Resolves when the connection has ended; never rejects. */
  readonly closed: Promise<SocketEnd>
  readonly #ws: WebSocket
  readonly #queue: FrameQueue<In>
  readonly #writer: FrameWriter
  readonly #receipts: Receipts
  readonly #closeTimeoutMs: number
  /** Whether the peer's close waits for our answer. */
  #isHeld = false
  #endedFor: string | undefined
  #wasSilent = false

  /** Takes over an open WebSocket. Call it in the tick in which the WebSocket opened, or frames are lost. */
  constructor(ws: WebSocket, options: SocketOptions<In>) {
    this.#ws = ws
    this.#closeTimeoutMs = options.closeTimeoutMs ?? CLOSE_TIMEOUT_MS
    this.#writer = new FrameWriter(ws)
    this.#receipts = new Receipts(ws)
    this.#queue = new FrameQueue({
      parse: options.parse,
      maxFrames: options.maxQueuedFrames ?? MAX_QUEUED_FRAMES,
      maxBytes: options.maxFrameBytes,
      onFull: () => ws.pause(),
      onRoom: () => ws.resume(),
    })
    if (options.holdsClose) {
      holdClose(ws, () => {
        this.#isHeld = true
        this.#queue.end()
      })
    }
    ws.on('message', (data, isBinary) => this.#enqueue(data, isBinary, options.maxFrameBytes))
    ws.on('error', (err: Error & { code?: string }) => {
      options.log.debug({ err }, 'socket error')
      this.#wasSilent ||= err.code === 'ETIMEDOUT'
      void this.#closeFor(err.code ?? 'socket error')
    })
    limitControlFrames(ws, () => this.#cut('too many pings'))
    const heartbeat = startHeartbeat(ws, {
      everyMs: options.heartbeatMs ?? HEARTBEAT_MS,
      timeoutMs: options.heartbeatTimeoutMs ?? HEARTBEAT_TIMEOUT_MS,
      writtenBytes: () => this.#writer.writtenBytes,
      onDead: () => this.#cutSilent('no sign of life'),
    })
    this.closed = new Promise(resolve => {
      ws.once('close', (code, reason) => {
        clearInterval(heartbeat)
        this.#queue.end()
        resolve({ code, reason: reason.toString() || (this.#endedFor ?? '') })
      })
    })
  }

  get isOpen(): boolean {
    return this.#ws.readyState === WebSocket.OPEN && !this.#isHeld
  }

  /** Whether the connection ended because the peer was silent: the peer may have lost it long before. */
  get wasSilent(): boolean {
    return this.#wasSilent
  }

  /** Sends a message as a JSON text frame. Resolves once the kernel has it. Rejects with SocketClosedError. */
  async send(message: Out): Promise<void> {
    if (!this.isOpen) throw new SocketClosedError('the connection is closed')
    await this.#writer.write(JSON.stringify(message))
  }

  /** Sends a message as `send` does, and asks the peer to acknowledge it. */
  sendWithReceipt(message: Out): SentMessage {
    if (!this.isOpen) {
      const sent = Promise.reject(new SocketClosedError('the connection is closed'))
      return { sent, acknowledged: Promise.resolve(false) }
    }
    const { ping, acknowledged } = this.#receipts.ask()
    return { sent: this.#writer.write(JSON.stringify(message), ping), acknowledged }
  }

  /**
   * Returns the next message, or undefined once the connection is closed and all messages were received. Rejects with
   * `signal.reason` when aborted; no message is lost then.
   */
  receive(signal?: AbortSignal): Promise<In | undefined> {
    return this.#queue.take(signal)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<In, void, undefined> {
    for (let message = await this.receive(); message !== undefined; message = await this.receive()) yield message
  }

  /**
   * Closes after all pending messages were sent. Queued messages can still be received; later frames are dropped. Cuts
   * the connection when the peer does not answer in time.
   *
   * @param reason cut to 123 bytes
   * @param withinMs how long the peer may take to answer, in ms; of several calls the shortest time counts
   */
  async close(code = 1000, reason = '', withinMs = this.#closeTimeoutMs): Promise<void> {
    const timer = setTimeout(() => this.#cutSilent('close was not answered'), withinMs)
    try {
      this.#queue.refuse()
      this.#ws.resume()
      await Promise.race([this.#writer.idle(), this.closed])
      this.#ws.close(code, fitReason(reason))
      await this.closed
    } finally {
      clearTimeout(timer)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #enqueue(data: RawData, isBinary: boolean, maxFrameBytes: number): void {
    const bytes = data as Buffer
    if (bytes.length > maxFrameBytes) void this.#closeFor('frame too large', 1009)
    else this.#queue.put(isBinary ? bytes : bytes.toString(), bytes.length)
  }

  /** Closes because of an error, without waiting for pending messages. */
  #closeFor(why: string, code?: number): Promise<void> {
    this.#endedFor ??= why
    if (this.isOpen) this.#ws.close(code)
    return this.close()
  }

  #cutSilent(why: string): void {
    this.#wasSilent = true
    this.#cut(why)
  }

  #cut(why: string): void {
    this.#endedFor ??= why
    this.#ws.terminate()
  }
}

/** Takes over an open WebSocket. Call it in the tick in which the WebSocket opened, or frames are lost. */
export function wrapSocket<In, Out>(ws: WebSocket, options: SocketOptions<In>): Socket<In, Out> {
  return new Socket<In, Out>(ws, options)
}

export interface DialOptions<In> extends SocketOptions<In> {
  headers?: Record<string, string>
  signal?: AbortSignal
  /** How long TCP, TLS and the upgrade may take together, in ms. Default: 10 s. */
  handshakeTimeoutMs?: number
  /** Called with the headers of the answer that opens the connection, before any frame. */
  onUpgrade?(headers: IncomingHttpHeaders): void
}

/** Connects to a ws: or wss: URL. Rejects with DialError or `signal.reason`, and then leaves nothing open. */
export function dialSocket<In, Out>(url: string, options: DialOptions<In>): Promise<Socket<In, Out>> {
  return openWebSocket(url, options, ws => new Socket<In, Out>(ws, options))
}

function fitReason(reason: string): Buffer {
  const bytes = Buffer.from(reason)
  if (bytes.length <= MAX_REASON_BYTES) return bytes
  let end = MAX_REASON_BYTES
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return bytes.subarray(0, end)
}
