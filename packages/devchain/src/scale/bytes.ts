/** The input is not a SCALE encoding of the requested type. */
export class ScaleError extends Error {
  override readonly name = 'ScaleError'
}

/** Hex with 0x: the form of accounts, hashes and storage keys in this package. */
export type Hex = `0x${string}`

export function toHex(bytes: Uint8Array): Hex {
  return `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`
}

/** Parses `0x` and an even number of hex digits; throws ScaleError for anything else. */
export function fromHex(hex: string): Uint8Array {
  if (!/^0x(?:[0-9a-fA-F]{2})*$/.test(hex)) throw new ScaleError('not a hex string')
  return new Uint8Array(Buffer.from(hex.slice(2), 'hex'))
}

const FIRST_CAPACITY = 64

export class ByteWriter {
  #bytes = new Uint8Array(FIRST_CAPACITY)
  #length = 0

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** Little-endian unsigned (or two's complement) integer of `size` bytes. */
  integer(value: bigint, size: number): void {
    let rest = BigInt.asUintN(size * 8, value)
    for (let i = 0; i < size; i++) {
      this.byte(Number(rest & 0xffn))
      rest >>= 8n
    }
  }

  done(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #reserve(extra: number): void {
    if (this.#length + extra <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + extra))
    grown.set(this.#bytes)
    this.#bytes = grown
  }
}

/** The deepest nesting of calls inside calls (batch, sudo). Substrate's limit. */
const MAX_DEPTH = 256

export class ByteReader {
  readonly #bytes: Uint8Array
  #at = 0
  #depth = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  get position(): number {
    return this.#at
  }

  byte(): number {
    const value = this.#bytes[this.#at]
    if (value === undefined) throw new ScaleError('ran out of bytes')
    this.#at++
    return value
  }

  raw(length: number): Uint8Array {
    if (length > this.left) throw new ScaleError('ran out of bytes')
    this.#at += length
    return this.#bytes.slice(this.#at - length, this.#at)
  }

  integer(size: number): bigint {
    let value = 0n
    for (let i = 0; i < size; i++) value |= BigInt(this.byte()) << BigInt(8 * i)
    return value
  }

  /** Runs `read` one level deeper. Throws ScaleError above the limit, before the stack overflows. */
  deeper<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new ScaleError('nested too deep')
    const value = read()
    this.#depth--
    return value
  }
}
