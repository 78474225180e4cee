import type { WebSocket } from 'ws'

/** The size of a ping's payload: the number of the receipt. */
const NUMBER_BYTES = 8

/**
 * Asks the peer for receipts. A peer answers a ping only after it has read every frame before it, so a pong proves
 * arrival; what the kernel has accepted may still be lost. A pong answers all pings before it, because RFC 6455 lets
 * peers answer only the latest.
 */
export class Receipts {
  readonly #waiting = new Map<number, (acknowledged: boolean) => void>()
  #last = 0

  constructor(ws: WebSocket) {
    ws.on('pong', (data: Buffer) => this.#take(data))
    ws.once('close', () => this.#end())
  }

  /**
   * Returns the payload of a ping to send, and a promise of its answer: false when the connection ended without one.
   */
  ask(): { ping: Buffer; acknowledged: Promise<boolean> } {
    this.#last += 1
    const ping = Buffer.alloc(NUMBER_BYTES)
    ping.writeBigUInt64BE(BigInt(this.#last))
    const { promise: acknowledged, resolve } = Promise.withResolvers<boolean>()
    this.#waiting.set(this.#last, resolve)
    return { ping, acknowledged }
  }

  #take(pong: Buffer): void {
    if (pong.length !== NUMBER_BYTES) return
    const answered = pong.readBigUInt64BE()
    for (const [number, resolve] of this.#waiting) {
      if (number > answered) return
      this.#waiting.delete(number)
      resolve(true)
    }
  }

  #end(): void {
    for (const resolve of this.#waiting.values()) resolve(false)
    this.#waiting.clear()
  }
}
