/** Makes room on the engine's disk: removes images that executors pulled, the least recently used first. */

import type { Engine } from '@horde/engine/engine'
import { hasCode } from '@horde/engine/engine-error'
import { canonicalName, repositoryOf } from '@horde/engine/images/image-name'
import type { ImageFacts } from '@horde/engine/images/images'
import type { Log } from '@horde/kit/log'
import type { HostSettings } from '../config.ts'
import { resolveAlias } from './aliases.ts'
import type { ImageUse, ImageUses } from './image-uses.ts'

/** An image that was used less than so many ms ago stays: a job may be about to run in it. */
const RECENT_MS = 3_600_000

export interface RemovalDeps {
  engine: Engine
  uses: ImageUses
  /** The names of images that are never removed. */
  pinned: readonly string[]
  /** How full the disk may be, in percent. */
  thresholdPercent: number
  /** Returns how full the disk is, in percent. */
  usedPercent: () => Promise<number>
  log: Log
}

/** Returns the names of the images that the settings name, as the engine takes them. */
export function pinnedImages(settings: HostSettings): string[] {
  const { PINNED_IMAGES, PRELOAD_IMAGES, PYTHON_IMAGE, PYTHON_NVIDIA_IMAGE, IMAGE_ALIASES } = settings
  const targets = IMAGE_ALIASES.map(alias => alias.slice(alias.indexOf('=') + 1))
  const names = [...PINNED_IMAGES, ...PRELOAD_IMAGES, PYTHON_IMAGE, PYTHON_NVIDIA_IMAGE, ...targets]
  return [...new Set(names.map(name => resolveAlias(name, IMAGE_ALIASES)))]
}

/**
 * Removes images until the disk is less full than the threshold. It removes only images that executors pulled and that
 * have no other name. It keeps images that are pinned, were used lately, or have a container, and never forces a
 * removal.
 */
export async function removeUnusedImages(deps: RemovalDeps, signal: AbortSignal): Promise<void> {
  const { engine, uses, thresholdPercent, usedPercent, log } = deps
  if ((await usedPercent()) < thresholdPercent) return
  const pinned = await idsOf(engine, deps.pinned)
  for (const use of await uses.all()) {
    signal.throwIfAborted()
    if (pinned.has(use.id)) continue
    // Read again for each image: a job may have used it since the list was read.
    const lastUsedAt = await uses.lastUsedAt(use)
    if (lastUsedAt === undefined || lastUsedAt > Date.now() - RECENT_MS) continue
    if (!(await removeImage(use, deps))) continue
    if ((await usedPercent()) < thresholdPercent) return
  }
  log.info({ usedPercent: Math.round(await usedPercent()), thresholdPercent }, 'no further image can be removed')
}

async function idsOf(engine: Engine, names: readonly string[]): Promise<Set<string>> {
  const images = await Promise.all(names.map(name => engine.images.find(name)))
  return new Set(images.flatMap(image => (image === undefined ? [] : [image.id])))
}

/** Removes an image where that is allowed, and returns whether it is gone. */
async function removeImage(use: ImageUse, { engine, uses, log }: RemovalDeps): Promise<boolean> {
  const image = await engine.images.find(use.id)
  if (image !== undefined) {
    if (!isOurs(image, use) || (await engine.images.idsInUse()).has(image.id)) return false
    if (!(await removeNames(image, engine, log))) return false
    log.info({ image: image.id, names: use.names, lastUsedAt: new Date(use.lastUsedAt) }, 'removed an unused image')
  }
  await uses.forget(use)
  return image !== undefined
}

async function removeNames({ id, tags, digests }: ImageFacts, engine: Engine, log: Log): Promise<boolean> {
  try {
    // By name first: the engine removes no image by its id that has several names.
    for (const name of [...tags, ...digests, id]) await engine.images.remove(name)
    return true
  } catch (err) {
    // When two clients remove an image at the same time, the engine refuses one of them.
    if ((await engine.images.find(id)) === undefined) return true
    const inUse = hasCode(err, 'conflict')
    if (!inUse) log.warn({ err, image: id }, 'an unused image could not be removed')
    return false
  }
}

/** Whether an image has only names by which executors pulled it. */
function isOurs({ tags, digests }: ImageFacts, { names }: ImageUse): boolean {
  const repositories = names.map(repositoryOf)
  return (
    tags.every(tag => names.includes(canonicalName(tag))) &&
    digests.every(digest => repositories.includes(repositoryOf(digest)))
  )
}
