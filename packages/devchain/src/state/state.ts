import type { Hex } from '../scale/bytes.ts'

/** The changes of a block or a part of it. null removes a key. */
export type Changes = Map<Hex, Uint8Array | null>

interface Version {
  block: number
  value: Uint8Array | null
}

/** Reads the chain's storage as raw bytes. */
export interface Reader {
  get(key: Hex): Uint8Array | undefined
  /** Returns every key that begins with `prefix`, sorted. */
  keys(prefix: Hex): Hex[]
}

/**
 * The chain's storage with history. Each key holds its versions of the last blocks, so that any block of the window can
 * be read. A write copies only what it changes.
 */
export class State {
  readonly #versions = new Map<Hex, Version[]>()
  /** The keys changed in each block, for dropping their old versions. */
  readonly #changed = new Map<number, Hex[]>()
  readonly #window: number
  #sorted: Hex[] | undefined
  #oldest = 0

  /** @param window how many blocks back a read may go */
  constructor(window: number) {
    this.#window = window
  }

  /** The oldest block that can still be read. */
  get oldest(): number {
    return this.#oldest
  }

  commit(block: number, changes: Changes): void {
    for (const [key, value] of changes) {
      const versions = this.#versions.get(key)
      if (versions) versions.push({ block, value })
      else {
        this.#versions.set(key, [{ block, value }])
        if (this.#sorted) this.#sorted.splice(firstAtLeast(this.#sorted, key), 0, key)
      }
    }
    this.#changed.set(block, [...changes.keys()])
    this.#forget(block - this.#window)
  }

  /** Undoes the changes of the newest blocks, from a number on, and returns their keys. */
  dropFrom(block: number): Hex[] {
    const dropped: Hex[] = []
    for (const [number, keys] of this.#changed) {
      if (number < block) continue
      this.#changed.delete(number)
      for (const key of keys) this.#dropVersions(key, block)
      dropped.push(...keys)
    }
    return dropped
  }

  #dropVersions(key: Hex, from: number): void {
    const left = this.#versions.get(key)?.filter(version => version.block < from) ?? []
    if (left.length > 0) this.#versions.set(key, left)
    else if (this.#versions.delete(key)) this.#sorted?.splice(firstAtLeast(this.#sorted, key), 1)
  }

  /** Continues from a saved state, whose history is unknown. */
  restore(block: number, entries: Iterable<[Hex, Uint8Array]>): void {
    for (const [key, value] of entries) this.#versions.set(key, [{ block, value }])
    this.#sorted = undefined
    this.#oldest = block
  }

  at(block: number): Reader {
    return {
      get: key => this.#read(key, block),
      keys: prefix => this.#range(prefix).filter(key => this.#read(key, block) !== undefined),
    }
  }

  #read(key: Hex, block: number): Uint8Array | undefined {
    return this.#versions.get(key)?.findLast(version => version.block <= block)?.value ?? undefined
  }

  #range(prefix: Hex): Hex[] {
    this.#sorted ??= [...this.#versions.keys()].sort()
    const from = firstAtLeast(this.#sorted, prefix)
    let to = from
    while (this.#sorted[to]?.startsWith(prefix)) to++
    return this.#sorted.slice(from, to)
  }

  /** Drops the history up to `block`: of each key only the newest version up to there stays. */
  #forget(block: number): void {
    if (block < this.#oldest) return
    for (let old = this.#oldest; old <= block; old++) {
      // A version can go once a later one exists at or before the new oldest block.
      for (const key of this.#changed.get(old + 1) ?? []) this.#shorten(key, block + 1)
      this.#changed.delete(old)
    }
    this.#oldest = block + 1
  }

  #shorten(key: Hex, oldest: number): void {
    const versions = this.#versions.get(key)
    if (!versions) return
    const keep = versions.findLastIndex(version => version.block <= oldest)
    if (keep > 0) versions.splice(0, keep)
    if (versions.length === 1 && versions[0]?.value === null && versions[0].block <= oldest) {
      this.#versions.delete(key)
      if (this.#sorted) this.#sorted.splice(firstAtLeast(this.#sorted, key), 1)
    }
  }
}

function firstAtLeast(sorted: Hex[], wanted: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as string) < wanted) low = middle + 1
    else high = middle
  }
  return low
}
