import { type ByteReader, type ByteWriter, ScaleError } from './bytes.ts'
import type { PrimitiveName, Type } from './type.ts'

/** Throws when a number does not fit its type, which is a bug of the runtime, instead of wrapping around. */
function checked(value: bigint, bits: number, signed = false): bigint {
  const fits = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)
  if (fits !== value) throw new ScaleError(`${value} does not fit into ${bits} bits`)
  return value
}

function small(name: PrimitiveName, size: number): Type<number> {
  return {
    encode: (value, out) => out.integer(checked(BigInt(value), size * 8), size),
    decode: input => Number(input.integer(size)),
    shape: () => ({ kind: 'primitive', name }),
  }
}

function big(name: PrimitiveName, size: number, signed = false): Type<bigint> {
  return {
    encode: (value, out) => out.integer(checked(value, size * 8, signed), size),
    decode: input => (signed ? BigInt.asIntN(size * 8, input.integer(size)) : input.integer(size)),
    shape: () => ({ kind: 'primitive', name }),
  }
}

export const u8 = small('u8', 1)
export const u16 = small('u16', 2)
export const u32 = small('u32', 4)
export const u64 = big('u64', 8)
export const u128 = big('u128', 16)
export const i64 = big('i64', 8, true)

export const bool: Type<boolean> = {
  encode: (value, out) => out.byte(value ? 1 : 0),
  decode: input => {
    const byte = input.byte()
    if (byte > 1) throw new ScaleError('a bool is 0 or 1')
    return byte === 1
  },
  shape: () => ({ kind: 'primitive', name: 'bool' }),
}

const LIMIT_1 = 1n << 6n
const LIMIT_2 = 1n << 14n
const LIMIT_4 = 1n << 30n

/** SCALE's compact integer: the two low bits of the first byte say how many bytes there are. */
export function writeCompact(value: bigint, out: ByteWriter): void {
  if (value < LIMIT_1) out.integer(value << 2n, 1)
  else if (value < LIMIT_2) out.integer((value << 2n) | 1n, 2)
  else if (value < LIMIT_4) out.integer((value << 2n) | 2n, 4)
  else writeBigCompact(value, out)
}

function writeBigCompact(value: bigint, out: ByteWriter): void {
  let size = 4
  while (value >> BigInt(8 * size) > 0n) size++
  out.byte(((size - 4) << 2) | 3)
  out.integer(value, size)
}

export function readCompact(input: ByteReader): bigint {
  const first = input.byte()
  const mode = first & 3
  if (mode === 0) return BigInt(first >> 2)
  if (mode === 3) return input.integer((first >> 2) + 4)
  const rest = input.integer(mode === 1 ? 1 : 3)
  return ((rest << 8n) | BigInt(first)) >> 2n
}

export function readLength(input: ByteReader): number {
  const length = readCompact(input)
  if (length > BigInt(input.left)) throw new ScaleError('a length beyond the input')
  return Number(length)
}

function compactOf<T>(of: Type<T>, bits: number, from: (value: bigint) => T, to: (value: T) => bigint): Type<T> {
  return {
    encode: (value, out) => writeCompact(to(value), out),
    decode: input => {
      const value = readCompact(input)
      if (value >> BigInt(bits) > 0n) throw new ScaleError('a compact integer beyond its type')
      return from(value)
    },
    shape: () => ({ kind: 'compact', of }),
  }
}

export const compactU16 = compactOf(u16, 16, Number, BigInt)
export const compactU32 = compactOf(u32, 32, Number, BigInt)
export const compactU64 = compactOf(
  u64,
  64,
  value => value,
  value => value,
)
export const text: Type<string> = {
  encode: (value, out) => {
    const bytes = new TextEncoder().encode(value)
    writeCompact(BigInt(bytes.length), out)
    out.raw(bytes)
  },
  decode: input => new TextDecoder().decode(input.raw(readLength(input))),
  shape: () => ({ kind: 'primitive', name: 'str' }),
}
