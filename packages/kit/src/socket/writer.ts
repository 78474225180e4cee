import type { Socket as NetSocket } from 'node:net'
import type { WebSocket } from 'ws'
import { SocketClosedError } from './errors.ts'

/** A larger frame is sent in fragments, so that pings and pongs pass in between. v0 peers accept no larger frame. */
const LARGEST_WHOLE_BYTES = 1024 * 1024
const FRAGMENT_BYTES = 128 * 1024

/** Writes text frames one after the other, and counts the bytes written. */
export class FrameWriter {
  readonly #ws: WebSocket
  #last: Promise<void> = Promise.resolve()
  #writtenBytes = 0

  constructor(ws: WebSocket) {
    this.#ws = ws
  }

  /** The bytes that the kernel has accepted so far. They grow during a large frame only while the peer reads. */
  get writtenBytes(): number {
    return this.#writtenBytes
  }

  /**
   * Resolves when the kernel has the whole frame. Rejects with SocketClosedError.
   *
   * @param ping sent right after the frame, in the same packet as its end
   */
  write(text: string, ping?: Buffer): Promise<void> {
    const bytes = Buffer.from(text)
    const written = this.#last.then(() => this.#writeFragments(bytes, ping))
    this.#last = written.catch(() => {})
    return written
  }

  /** Resolves when no frame waits to be written. Never rejects. */
  async idle(): Promise<void> {
    for (let last: Promise<void> | undefined; last !== this.#last; ) {
      last = this.#last
      await last
    }
  }

  async #writeFragments(bytes: Buffer, ping: Buffer | undefined): Promise<void> {
    const step = bytes.length > LARGEST_WHOLE_BYTES ? FRAGMENT_BYTES : Math.max(1, bytes.length)
    for (let start = 0; start < bytes.length; start += step) {
      const fragment = bytes.subarray(start, start + step)
      const isLast = start + step >= bytes.length
      await this.#send(fragment, isLast, isLast ? ping : undefined)
      this.#writtenBytes += fragment.length
    }
  }

  #send(fragment: Buffer, fin: boolean, ping: Buffer | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = socketOf(this.#ws)
      // Keeps frame and ping together: a peer may close as soon as it has read the frame.
      socket?.cork()
      this.#ws.send(fragment, { binary: false, fin }, error => {
        if (error) reject(new SocketClosedError('the connection closed before the message was sent', { cause: error }))
        else resolve()
      })
      if (ping) this.#ws.ping(ping, undefined, () => {})
      socket?.uncork()
    })
  }
}

function socketOf(ws: WebSocket): NetSocket | null {
  return (ws as unknown as { _socket: NetSocket | null })._socket
}
