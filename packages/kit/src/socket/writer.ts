import type { Socket as NetSocket } from 'node:net'
import type { WebSocket } from 'ws'
import { SocketClosedError } from './errors.ts'

/** A larger frame goes out in fragments, so that pings and pongs get through in between. Old peers take no larger one. */
const LARGEST_WHOLE_BYTES = 1024 * 1024
const FRAGMENT_BYTES = 128 * 1024

/** Writes text frames, one after the other, and knows how far it has come. */
export class FrameWriter {
  readonly #ws: WebSocket
  #last: Promise<void> = Promise.resolve()
  #writtenBytes = 0

  constructor(ws: WebSocket) {
    this.#ws = ws
  }

  /** Bytes that the kernel has taken so far: while a large frame goes out, the sign that the peer still reads. */
  get writtenBytes(): number {
    return this.#writtenBytes
  }

  /**
   * Resolves when the kernel has the whole frame. Rejects with SocketClosedError.
   *
   * @param ping goes out right behind the frame, in one piece with its end
   */
  write(text: string, ping?: Buffer): Promise<void> {
    const bytes = Buffer.from(text)
    const written = this.#last.then(() => this.#writeFragments(bytes, ping))
    this.#last = written.catch(() => {})
    return written
  }

  /** Resolves when nothing waits to be written; never rejects. */
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
      // A peer that closes as soon as it has its answer must have got the ping by then.
      socket?.cork()
      this.#ws.send(fragment, { binary: false, fin }, error => {
        if (error) reject(new SocketClosedError('connection closed before a message was out', { cause: error }))
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
