import { ByteReader, ByteWriter, type Hex, ScaleError, toHex } from './bytes.ts'

/** A field of a composite or a variant, as scale-info describes it. */
export interface Field {
  name?: string
  type: Type<unknown>
}

export interface Variant {
  name: string
  index: number
  fields: Field[]
}

export interface Parameter {
  name: string
  type?: Type<unknown>
}

/** The description of a type in the metadata: scale-info's type definition. */
export type Shape =
  | { kind: 'primitive'; name: PrimitiveName }
  | { kind: 'composite'; path: string; parameters?: Parameter[]; fields: Field[] }
  | { kind: 'variant'; path: string; parameters?: Parameter[]; variants: Variant[] }
  | { kind: 'sequence'; of: Type<unknown> }
  | { kind: 'array'; length: number; of: Type<unknown> }
  | { kind: 'tuple'; of: Type<unknown>[] }
  | { kind: 'compact'; of: Type<unknown> }

export type PrimitiveName = 'bool' | 'str' | 'u8' | 'u16' | 'u32' | 'u64' | 'u128' | 'i64'

/**
 * A SCALE type: its encoding and its description in one, so that the metadata always match what the chain stores.
 * Methods, not function properties, so that a Type<number> is assignable to Type<unknown>.
 */
export interface Type<T> {
  encode(value: T, out: ByteWriter): void
  decode(input: ByteReader): T
  shape(): Shape
}

export type ValueOf<X> = X extends Type<infer T> ? T : never

export function encode<T>(type: Type<T>, value: T): Uint8Array {
  const out = new ByteWriter()
  type.encode(value, out)
  return out.done()
}

export function encodeHex<T>(type: Type<T>, value: T): Hex {
  return toHex(encode(type, value))
}

/** Decodes all of `bytes`. Throws ScaleError when bytes are left over. */
export function decode<T>(type: Type<T>, bytes: Uint8Array): T {
  const input = new ByteReader(bytes)
  const value = type.decode(input)
  if (input.left > 0) throw new ScaleError(`${input.left} bytes left over`)
  return value
}
