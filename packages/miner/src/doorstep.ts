/**
 * What peers may cost before it is known who they are: how many of them there may be, and what is read of each. A port
 * has one; a connection is on it from the moment it is accepted until its peer has proved who it is.
 */
import type { Socket } from 'node:net'
import { FrameCounter } from './doorstep/frame-counter.ts'
import { neighbourhoodOf } from './doorstep/neighbourhood.ts'

/** The most that is read of a connection before it is admitted, in bytes: an authentication and an offer need 2 kB. */
const MAX_UNKNOWN_BYTES = 256 * 1024
/** The most frames that wait for the authentication, pings and pieces of a message among them. */
const MAX_UNKNOWN_FRAMES = 8

/** Says that the peer is known from now on. */
export type Admit = () => void

export type DoorstepLimits = {
  /** Connections that wait to be admitted, in all. */
  maxUnknown: number
  /** The same from one address, or from one /64 of IPv6. */
  maxUnknownPerAddress: number
}

/**
 * One connection too many costs an older one its place, for who is honest is quick: the oldest of the same address, or,
 * when there are too many in all, the oldest of the address that has most. So a crowd keeps nobody out but itself.
 */
export class Doorstep {
  readonly #limits: DoorstepLimits
  readonly #addressOf = new Map<Socket, string>()
  readonly #byAddress = new Map<string, Set<Socket>>()

  constructor(limits: DoorstepLimits) {
    this.#limits = limits
  }

  /** How many connections wait to be admitted. */
  get unknown(): number {
    return this.#addressOf.size
  }

  /** Takes a connection that was just accepted. */
  enter(socket: Socket): void {
    const address = neighbourhoodOf(socket.remoteAddress ?? '')
    const neighbours = this.#byAddress.get(address) ?? new Set()
    this.#byAddress.set(address, neighbours.add(socket))
    this.#addressOf.set(socket, address)
    socket.once('close', () => this.#leave(socket))
    if (neighbours.size > this.#limits.maxUnknownPerAddress) this.#cutOldest(neighbours)
    else if (this.unknown > this.#limits.maxUnknown) this.#cutOldest(this.#largest())
  }

  /** Watches what comes behind the upgrade, in whose tick this is called, and cuts the connection when it is too much. */
  watch(socket: Socket): Admit {
    const counter = new FrameCounter()
    const count = (bytes: Buffer) => {
      counter.take(bytes)
      if (socket.bytesRead > MAX_UNKNOWN_BYTES) return socket.destroy()
      // Many frames may come in one piece with a good authentication: by the next turn that peer is admitted.
      if (counter.frames > MAX_UNKNOWN_FRAMES) setImmediate(() => this.#addressOf.has(socket) && socket.destroy())
    }
    socket.on('data', count)
    return () => {
      socket.off('data', count)
      this.#leave(socket)
    }
  }

  #largest(): Set<Socket> {
    let largest = new Set<Socket>()
    for (const neighbours of this.#byAddress.values()) if (neighbours.size > largest.size) largest = neighbours
    return largest
  }

  #cutOldest(neighbours: Set<Socket>): void {
    const [oldest] = neighbours
    if (!oldest) return
    this.#leave(oldest)
    oldest.destroy()
  }

  #leave(socket: Socket): void {
    const address = this.#addressOf.get(socket)
    if (address === undefined) return
    this.#addressOf.delete(socket)
    const neighbours = this.#byAddress.get(address)
    neighbours?.delete(socket)
    if (neighbours?.size === 0) this.#byAddress.delete(address)
  }
}
