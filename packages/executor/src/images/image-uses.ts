/**
 * Remembers which images the executors of this host pulled, and when each was last used. There is one file for each
 * name of an image, so that executors can write at the same time.
 */
import { createHash } from 'node:crypto'
import { canonicalName } from '@horde/engine/images/image-name'
import type { StateFolder } from '../host/state-folder.ts'

const PREFIX = 'image-'

/** An image that executors pulled, by one or more names. */
export interface ImageUse {
  /** `sha256:…` */
  id: string
  /** Full names; an image may have lost all of them, when a newer one was pulled under its tag. */
  names: string[]
  /** By the wall clock, in ms. */
  lastUsedAt: number
}

export class ImageUses {
  readonly #folder: StateFolder
  readonly #now: () => number

  /** @param now the wall clock, in ms since the epoch */
  constructor(folder: StateFolder, now: () => number) {
    this.#folder = folder
    this.#now = now
  }

  /** Notes that this executor pulled an image, and uses it. */
  async pulled(id: string, name: string): Promise<void> {
    await this.#folder.write(fileFor(id, name), { id, name: canonicalName(name), lastUsedAt: this.#now() })
  }

  /** Notes that an image is used, if an executor pulled it. */
  async used(id: string, name: string): Promise<void> {
    const known = await this.#folder.read(fileFor(id, name))
    if (parseUse(known) !== undefined) await this.pulled(id, name)
  }

  /** Returns all images that executors pulled, the least recently used first. */
  async all(): Promise<ImageUse[]> {
    const files = (await this.#folder.names()).filter(name => name.startsWith(PREFIX))
    const uses = new Map<string, ImageUse>()
    for (const file of files) {
      const use = parseUse(await this.#folder.read(file))
      if (use === undefined) continue
      const known = uses.get(use.id) ?? { id: use.id, names: [], lastUsedAt: use.lastUsedAt }
      known.names.push(use.name)
      known.lastUsedAt = Math.max(known.lastUsedAt, use.lastUsedAt)
      uses.set(use.id, known)
    }
    return [...uses.values()].sort((a, b) => a.lastUsedAt - b.lastUsedAt)
  }

  /** Returns when an image was last used, in ms; undefined when its record was removed meanwhile. */
  async lastUsedAt({ id, names }: ImageUse): Promise<number | undefined> {
    const known = await Promise.all(names.map(async name => parseUse(await this.#folder.read(fileFor(id, name)))))
    const times = known.flatMap(use => (use === undefined ? [] : [use.lastUsedAt]))
    return times.length === 0 ? undefined : Math.max(...times)
  }

  /** Forgets an image that was removed. */
  async forget({ id, names }: ImageUse): Promise<void> {
    for (const name of names) await this.#folder.remove(fileFor(id, name))
  }
}

function fileFor(id: string, name: string): string {
  const hash = createHash('sha256').update(canonicalName(name)).digest('hex')
  return `${PREFIX}${id.replace(/\W/g, '-')}-${hash.slice(0, 16)}.json`
}

function parseUse(value: unknown): { id: string; name: string; lastUsedAt: number } | undefined {
  const { id, name, lastUsedAt } = (value ?? {}) as Record<string, unknown>
  if (typeof id !== 'string' || typeof name !== 'string' || typeof lastUsedAt !== 'number') return undefined
  return { id, name, lastUsedAt }
}
