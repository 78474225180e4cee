import type { Hex } from '../scale/bytes.ts'
import { decode, encode } from '../scale/type.ts'
import { mapKeys, type Placed, stateKey } from '../table/storage-entry.ts'
import type { Changes, Reader } from './state.ts'

/** Typed reads of the table's entries over any reader. */
export class View {
  protected readonly reader: Reader

  constructor(reader: Reader) {
    this.reader = reader
  }

  get<K extends unknown[], V, Got>(entry: Placed<K, V, Got>, ...keys: K): Got | V {
    const raw = this.reader.get(stateKey(entry, keys))
    return raw === undefined ? entry.fallback : decode(entry.type, raw)
  }

  has<K extends unknown[], V, Got>(entry: Placed<K, V, Got>, ...keys: K): boolean {
    return this.reader.get(stateKey(entry, keys)) !== undefined
  }

  /** Returns all entries of a map, or of the part under the given keys. */
  entries<K extends unknown[], V, Got>(entry: Placed<K, V, Got>, ...first: Partial<K>): { keys: K; value: V }[] {
    return this.reader.keys(stateKey(entry, first as unknown[])).map(key => ({
      keys: mapKeys(entry, key) as K,
      value: decode(entry.type, this.reader.get(key) as Uint8Array),
    }))
  }
}

/** A writable view. Changes are collected in layers, which are then committed or rolled back. */
export class Store extends View {
  readonly #base: Reader
  readonly #layers: Changes[]

  constructor(base: Reader) {
    const layers: Changes[] = [new Map()]
    super({ get: key => readLayers(base, layers, key), keys: prefix => keysOf(base, layers, prefix) })
    this.#base = base
    this.#layers = layers
  }

  set<K extends unknown[], V, Got>(entry: Placed<K, V, Got>, keys: K, value: V): void {
    this.#top().set(stateKey(entry, keys), encode(entry.type, value))
  }

  remove<K extends unknown[], V, Got>(entry: Placed<K, V, Got>, keys: K): void {
    this.#top().set(stateKey(entry, keys), null)
  }

  /** Reads, changes and writes one entry. */
  update<K extends unknown[], V, Got>(entry: Placed<K, V, Got>, keys: K, change: (value: V | Got) => V): void {
    this.set(entry, keys, change(this.get(entry, ...keys)))
  }

  begin(): void {
    this.#layers.push(new Map())
  }

  commit(): void {
    const done = this.#layers.pop()
    if (!done || this.#layers.length === 0) throw new Error('no layer was begun')
    for (const [key, value] of done) this.#top().set(key, value)
  }

  rollback(): void {
    if (this.#layers.length < 2) throw new Error('no layer was begun')
    this.#layers.pop()
  }

  /** Returns all changes, without those that change nothing. */
  changes(): Changes {
    const [all] = this.#layers
    if (!all || this.#layers.length > 1) throw new Error('a layer is still open')
    return new Map([...all].filter(([key, value]) => !same(this.#base.get(key) ?? null, value)))
  }

  #top(): Changes {
    return this.#layers.at(-1) as Changes
  }
}

function readLayers(base: Reader, layers: Changes[], key: Hex): Uint8Array | undefined {
  for (let i = layers.length - 1; i >= 0; i--) {
    const value = layers[i]?.get(key)
    if (value !== undefined) return value ?? undefined
  }
  return base.get(key)
}

function keysOf(base: Reader, layers: Changes[], prefix: Hex): Hex[] {
  const keys = new Set(base.keys(prefix))
  for (const layer of layers) {
    for (const [key, value] of layer) {
      if (!key.startsWith(prefix)) continue
      if (value === null) keys.delete(key)
      else keys.add(key)
    }
  }
  return [...keys].sort()
}

function same(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0
}
