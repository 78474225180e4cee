/**
 * Limits what unauthenticated peers may cost: how many connections they may hold, and how much is read of each. A port
 * has one of these; a connection counts from the moment it is accepted until its peer is authenticated.
 */
import { isIPv6, type Socket } from 'node:net'
import { ipFromNumber, ipToNumber } from '@horde/chain/ip'

/**
 * The most that is read of a connection before it is authenticated, in bytes: an authentication and an offer need 2 kB.
 */
const MAX_BYTES = 256 * 1024
/** The most frames before the authentication; pings and fragments of a message count. */
const MAX_FRAMES = 8

/** Says that the peer is authenticated from now on. */
export type Authenticated = () => void

export type PreAuthOptions = {
  /** Unauthenticated connections in all. */
  maxUnauthenticated: number
  /** Unauthenticated connections of one address group (see `addressGroupOf`). */
  maxUnauthenticatedPerGroup: number
}

/**
 * One connection too many closes an older one, since honest peers authenticate quickly: the oldest of the same address
 * group, or, when there are too many in all, the oldest of the largest group. So an attacker locks out only itself.
 */
export class PreAuthLimits {
  readonly #options: PreAuthOptions
  readonly #groupOf = new Map<Socket, string>()
  readonly #byGroup = new Map<string, Set<Socket>>()

  constructor(options: PreAuthOptions) {
    this.#options = options
  }

  /** How many connections are unauthenticated now. */
  get unauthenticated(): number {
    return this.#groupOf.size
  }

  /** Adds a connection that was just accepted. */
  add(socket: Socket): void {
    const group = addressGroupOf(socket.remoteAddress ?? '')
    const members = this.#byGroup.get(group) ?? new Set()
    this.#byGroup.set(group, members.add(socket))
    this.#groupOf.set(socket, group)
    socket.once('close', () => this.#remove(socket))
    if (members.size > this.#options.maxUnauthenticatedPerGroup) this.#closeOldest(members)
    else if (this.unauthenticated > this.#options.maxUnauthenticated) this.#closeOldest(this.#largestGroup())
  }

  /** Reads along behind the upgrade, in whose tick it must be called, and closes the connection when it is too much. */
  watch(socket: Socket): Authenticated {
    const counter = new FrameCounter()
    const count = (bytes: Buffer) => {
      counter.take(bytes)
      if (socket.bytesRead > MAX_BYTES) return socket.destroy()
      // Many frames may arrive together with a good authentication: by the next tick that peer is authenticated.
      if (counter.frames > MAX_FRAMES) setImmediate(() => this.#groupOf.has(socket) && socket.destroy())
    }
    socket.on('data', count)
    return () => {
      socket.off('data', count)
      this.#remove(socket)
    }
  }

  #largestGroup(): Set<Socket> {
    let largest = new Set<Socket>()
    for (const members of this.#byGroup.values()) if (members.size > largest.size) largest = members
    return largest
  }

  #closeOldest(members: Set<Socket>): void {
    const [oldest] = members
    if (!oldest) return
    this.#remove(oldest)
    oldest.destroy()
  }

  #remove(socket: Socket): void {
    const group = this.#groupOf.get(socket)
    if (group === undefined) return
    this.#groupOf.delete(socket)
    const members = this.#byGroup.get(group)
    members?.delete(socket)
    if (members?.size === 0) this.#byGroup.delete(group)
  }
}

/** A host is given a /64 of IPv6 as it is given one IPv4 address. */
const HOST_BITS = 64n
/** ::ffff:0:0/96 is how a socket for both kinds shows an IPv4 address. */
const IPV4_BITS = 32n
const MAPPED_IPV4 = 0xffffn

/** The addresses that one host may have at will: an IPv4 address itself, or the first 64 bits of an IPv6 address. */
export function addressGroupOf(address: string): string {
  const [plain = ''] = address.split('%')
  if (!isIPv6(plain)) return plain
  const { ip } = ipToNumber(plain)
  if (ip >> IPV4_BITS === MAPPED_IPV4) return ipFromNumber({ ip: ip & ((1n << IPV4_BITS) - 1n), ipType: 4 })
  return `${ipFromNumber({ ip: (ip >> HOST_BITS) << HOST_BITS, ipType: 6 })}/64`
}

/** Values of a WebSocket frame's length field that mean: the length is in the next two, or eight, bytes. */
const LENGTH_IN_TWO = 126
const LENGTH_IN_EIGHT = 127
const MASK_BYTES = 4

/** Counts the WebSocket frames in a peer's bytes: pings, and fragments of a message, are frames as well. */
export class FrameCounter {
  #frames = 0
  #header: number[] = []
  /** Bytes of the current frame's mask and payload that are still to come. */
  #missing = 0

  /** Frames that have begun. */
  get frames(): number {
    return this.#frames
  }

  /** Takes the next bytes of the connection, in order, beginning with the first one behind the upgrade. */
  take(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#missing > 0) {
        const skipped = Math.min(this.#missing, bytes.length - at)
        this.#missing -= skipped
        at += skipped
      } else {
        this.#takeHeader(bytes[at] as number)
        at += 1
      }
    }
  }

  #takeHeader(byte: number): void {
    if (this.#header.push(byte) === 1) this.#frames += 1
    const rest = bytesBehind(this.#header)
    if (rest === undefined) return
    this.#missing = rest
    this.#header = []
  }
}

/** How many bytes follow a header; undefined while it is incomplete. */
function bytesBehind([, second, ...lengthBytes]: readonly number[]): number | undefined {
  if (second === undefined) return undefined
  const mask = second & 0x80 ? MASK_BYTES : 0
  const length = second & 0x7f
  if (length < LENGTH_IN_TWO) return mask + length
  if (lengthBytes.length < (length === LENGTH_IN_EIGHT ? 8 : 2)) return undefined
  return mask + lengthBytes.reduce((sum, byte) => sum * 256 + byte, 0)
}
