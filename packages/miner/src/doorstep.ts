/** What a peer may cost before it is known who it is, and how many connections those who are known may hold. */
import type { UpgradeHandler } from '@horde/kit/http'

/** The most that is read of a connection before it is admitted, in bytes: an authentication and an offer need 2 kB. */
const MAX_UNKNOWN_BYTES = 256 * 1024
/** How many connections may wait to be admitted; one more costs the oldest its place, for who is honest is quick. */
const MAX_UNKNOWN = 128

/** Says that the peer is known from now on. */
export type Admit = () => void

export class Doorstep {
  readonly #unknown = new Set<() => void>()

  /** Takes a connection in the tick in which it opened. Until it is admitted, it is cut when it costs too much. */
  enter(...[ws, , { socket }]: Parameters<UpgradeHandler>): Admit {
    const cut = () => ws.terminate()
    const count = () => {
      if (socket.bytesRead > MAX_UNKNOWN_BYTES) cut()
    }
    const admit = () => {
      socket.off('data', count)
      this.#unknown.delete(cut)
    }
    socket.on('data', count)
    this.#unknown.add(cut)
    ws.once('close', admit)
    const [oldest] = this.#unknown
    if (this.#unknown.size > MAX_UNKNOWN) oldest?.()
    return admit
  }
}

/** How many connections each validator holds. */
export class HeldConnections {
  readonly #held = new Map<string, number>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  /** A place for one connection; undefined when the validator holds as many as it may. */
  take(validator: string): Disposable | undefined {
    const held = this.#held.get(validator) ?? 0
    if (held >= this.#max) return undefined
    this.#held.set(validator, held + 1)
    return { [Symbol.dispose]: () => this.#release(validator) }
  }

  /** How many each holds now. */
  get byValidator(): ReadonlyMap<string, number> {
    return this.#held
  }

  #release(validator: string): void {
    const left = (this.#held.get(validator) ?? 1) - 1
    if (left > 0) this.#held.set(validator, left)
    else this.#held.delete(validator)
  }
}
