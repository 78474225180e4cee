import { blake2AsU8a, xxhashAsU8a } from '../crypto.ts'
import { ByteReader, fromHex, type Hex, toHex } from '../scale/bytes.ts'
import { encode, type Type } from '../scale/type.ts'

/** The bytes that each hasher puts before the key. Names as in the metadata. */
const HASH_BYTES = { Identity: 0, Blake2128Concat: 16, Twox64Concat: 8 }

export interface Key<T = unknown> {
  hasher: keyof typeof HASH_BYTES
  type: Type<T>
}

export const identity = <T>(type: Type<T>): Key<T> => ({ hasher: 'Identity', type })
export const blake2 = <T>(type: Type<T>): Key<T> => ({ hasher: 'Blake2128Concat', type })
export const twox = <T>(type: Type<T>): Key<T> => ({ hasher: 'Twox64Concat', type })

/** A storage value or map. `Got` is the type of a read: V, or V | undefined when there is no default. */
export interface Entry<K extends unknown[] = unknown[], V = unknown, Got = unknown> {
  keys: Key[]
  type: Type<V>
  /** The value of an entry that was never stored. undefined makes the entry optional. */
  fallback: Got
  /** Never set; it carries the types of the keys. */
  of?(keys: K): V
}

type Keys<T extends Key[]> = { [I in keyof T]: T[I] extends Key<infer X> ? X : never }

export function value<V>(type: Type<V>, fallback: V): Entry<[], V, V> {
  return { keys: [], type, fallback }
}

export function optionalValue<V>(type: Type<V>): Entry<[], V, V | undefined> {
  return { keys: [], type, fallback: undefined }
}

export function map<T extends Key[], V>(keys: [...T], type: Type<V>, fallback: V): Entry<Keys<T>, V, V> {
  return { keys, type, fallback }
}

export function optionalMap<T extends Key[], V>(keys: [...T], type: Type<V>): Entry<Keys<T>, V, V | undefined> {
  return { keys, type, fallback: undefined }
}

/** A storage entry with its pallet and name, from which its keys in the state follow. */
export interface Placed<K extends unknown[] = unknown[], V = unknown, Got = unknown> extends Entry<K, V, Got> {
  pallet: string
  name: string
  prefix: Hex
}

export type PlacedTable<T extends Record<string, Entry>> = {
  [N in keyof T]: T[N] extends Entry<infer K, infer V, infer Got> ? Placed<K, V, Got> : never
}

/** Adds to every entry of a pallet its name and prefix: twox128(pallet) ++ twox128(name). */
export function place<T extends Record<string, Entry>>(pallet: string, table: T): PlacedTable<T> {
  const placed = Object.entries(table).map(([name, entry]) => {
    const prefix = toHex(new Uint8Array([...xxhashAsU8a(pallet, 128), ...xxhashAsU8a(name, 128)]))
    return [name, { ...entry, pallet, name, prefix }]
  })
  return Object.fromEntries(placed) as PlacedTable<T>
}

function hashed({ hasher, type }: Key, part: unknown): string {
  const raw = encode(type, part)
  const plain = toHex(raw).slice(2)
  if (hasher === 'Identity') return plain
  if (hasher === 'Blake2128Concat') return toHex(blake2AsU8a(raw, 128)).slice(2) + plain
  return toHex(xxhashAsU8a(raw, 64)).slice(2) + plain
}

/** Returns the key in the state for these map keys. With fewer keys, returns their common prefix. */
export function stateKey(entry: Placed, keys: unknown[]): Hex {
  let key: string = entry.prefix
  for (const [index, part] of keys.entries()) {
    const one = entry.keys[index]
    if (!one) throw new Error(`${entry.name} has ${entry.keys.length} keys`)
    key += hashed(one, part)
  }
  return key as Hex
}

/** Returns the map keys of a key in the state. */
export function mapKeys(entry: Placed, key: Hex): unknown[] {
  const input = new ByteReader(fromHex(`0x${key.slice(entry.prefix.length)}`))
  return entry.keys.map(({ hasher, type }) => {
    input.raw(HASH_BYTES[hasher])
    return type.decode(input)
  })
}
