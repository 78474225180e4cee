import { fromHex, type Hex, ScaleError, toHex } from './bytes.ts'
import { readLength, u8, writeCompact } from './primitives.ts'
import type { Field, Parameter, Shape, Type, ValueOf } from './type.ts'

export const unit: Type<null> = {
  encode: () => {},
  decode: () => null,
  shape: () => ({ kind: 'tuple', of: [] }),
}

export function vec<T>(of: Type<T>): Type<T[]> {
  return {
    encode: (values, out) => {
      writeCompact(BigInt(values.length), out)
      for (const value of values) of.encode(value, out)
    },
    decode: input => Array.from({ length: readLength(input) }, () => of.decode(input)),
    shape: () => ({ kind: 'sequence', of }),
  }
}

/** Vec<u8>, as bytes instead of an array of numbers. */
export const bytes: Type<Uint8Array> = {
  encode: (value, out) => {
    writeCompact(BigInt(value.length), out)
    out.raw(value)
  },
  decode: input => input.raw(readLength(input)),
  shape: () => ({ kind: 'sequence', of: u8 }),
}

/** [u8; length] as hex. */
export function fixedBytes(length: number): Type<Hex> {
  return {
    encode: (value, out) => {
      const raw = fromHex(value)
      if (raw.length !== length) throw new ScaleError(`${length} bytes wanted, ${raw.length} given`)
      out.raw(raw)
    },
    decode: input => toHex(input.raw(length)),
    shape: () => ({ kind: 'array', length, of: u8 }),
  }
}

export function tuple<T extends Type<unknown>[]>(...of: T): Type<{ [I in keyof T]: ValueOf<T[I]> }> {
  return {
    encode: (values, out) => {
      for (const [index, type] of of.entries()) type.encode(values[index], out)
    },
    decode: input => of.map(type => type.decode(input)) as { [I in keyof T]: ValueOf<T[I]> },
    shape: () => ({ kind: 'tuple', of }),
  }
}

export type Members = Record<string, Type<unknown>>
export type Struct<M extends Members> = { [K in keyof M]: ValueOf<M[K]> }

export function struct<M extends Members>(path: string, members: M, parameters: Parameter[] = []): Type<Struct<M>> {
  const fields: Field[] = Object.entries(members).map(([name, type]) => ({ name, type }))
  return {
    encode: (value, out) => {
      for (const [name, type] of Object.entries(members)) type.encode(value[name], out)
    },
    decode: input =>
      Object.fromEntries(Object.entries(members).map(([name, type]) => [name, type.decode(input)])) as Struct<M>,
    shape: () => ({ kind: 'composite', path, parameters, fields }),
  }
}

/** A named type with the bytes of `of`: AccountId32, H256. */
export function named<T>(path: string, of: Type<T>): Type<T> {
  return { ...of, shape: () => ({ kind: 'composite', path, fields: [{ type: of }] }) }
}

export type Tagged<M extends Members> = { [K in keyof M & string]: { type: K; value: ValueOf<M[K]> } }[keyof M & string]

/** Rust's Option: null stands for None, so T itself must not be nullable. */
export function option<T>(of: Type<T>): Type<T | null> {
  const shape = (): Shape => ({
    kind: 'variant',
    path: 'Option',
    parameters: [{ name: 'T', type: of }],
    variants: [
      { name: 'None', index: 0, fields: [] },
      { name: 'Some', index: 1, fields: [{ type: of }] },
    ],
  })
  return {
    encode: (value, out) => {
      out.byte(value === null ? 0 : 1)
      if (value !== null) of.encode(value, out)
    },
    decode: input => {
      const tag = input.byte()
      if (tag > 1) throw new ScaleError('an Option is 0 or 1')
      return tag === 0 ? null : of.decode(input)
    },
    shape,
  }
}
