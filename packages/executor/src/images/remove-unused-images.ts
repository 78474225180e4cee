/** Makes room on the engine's disk: the images that executors pulled go, the least recently used first. */

import type { Engine } from '@horde/engine/engine'
import { hasCode } from '@horde/engine/engine-error'
import { canonicalName, repositoryOf } from '@horde/engine/images/image-name'
import type { ImageFacts } from '@horde/engine/images/images'
import type { Log } from '@horde/kit/log'
import type { HostSettings } from '../config.ts'
import { resolveAlias } from './aliases.ts'
import type { ImageUse, ImageUses } from './image-uses.ts'

/** An image that was used less than so many ms ago is not removed: a job may be about to run in it. */
const RECENT_MS = 3_600_000

export interface RemovalDeps {
  engine: Engine
  uses: ImageUses
  /** The names of images that stay, whatever happens. */
  pinned: readonly string[]
  /** How full the disk may be, in percent. */
  thresholdPercent: number
  /** How full it is, in percent. */
  usedPercent: () => Promise<number>
  log: Log
}

/** The names of the images that an operator counts on, as the engine takes them. */
export function pinnedImages(settings: HostSettings): string[] {
  const { PINNED_IMAGES, PRELOAD_IMAGES, PYTHON_IMAGE, PYTHON_NVIDIA_IMAGE, IMAGE_ALIASES } = settings
  const targets = IMAGE_ALIASES.map(alias => alias.slice(alias.indexOf('=') + 1))
  const names = [...PINNED_IMAGES, ...PRELOAD_IMAGES, PYTHON_IMAGE, PYTHON_NVIDIA_IMAGE, ...targets]
  return [...new Set(names.map(name => resolveAlias(name, IMAGE_ALIASES)))]
}

/**
 * Removes images until the disk is less full than the threshold. Only what executors pulled is ever removed, under the
 * names that they pulled it by: neither what is pinned, was used lately, or has a container, nor what somebody else gave a
 * name to. Nothing is forced.
 */
export async function removeUnusedImages(deps: RemovalDeps, signal: AbortSignal): Promise<void> {
  const { engine, uses, thresholdPercent, usedPercent, log } = deps
  if ((await usedPercent()) < thresholdPercent) return
  const pinned = await idsOf(engine, deps.pinned)
  for (const use of await uses.all()) {
    signal.throwIfAborted()
    if (pinned.has(use.id)) continue
    // Asked again for each: a job may have come for it since the list was made.
    const lastUsedAt = await uses.lastUsedAt(use)
    if (lastUsedAt === undefined || lastUsedAt > Date.now() - RECENT_MS) continue
    if (!(await removeImage(use, deps))) continue
    if ((await usedPercent()) < thresholdPercent) return
  }
  log.info({ usedPercent: Math.round(await usedPercent()), thresholdPercent }, 'no image is left that could be removed')
}

async function idsOf(engine: Engine, names: readonly string[]): Promise<Set<string>> {
  const images = await Promise.all(names.map(name => engine.images.find(name)))
  return new Set(images.flatMap(image => (image === undefined ? [] : [image.id])))
}

/** Whether there is more room now. */
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
    // By name first: the engine removes nothing by its id that has several.
    for (const name of [...tags, ...digests, id]) await engine.images.remove(name)
    return true
  } catch (err) {
    // An engine that is asked for the same by two at once answers one of them that it cannot.
    if ((await engine.images.find(id)) === undefined) return true
    const inUse = hasCode(err, 'conflict')
    if (!inUse) log.warn({ err, image: id }, 'an unused image could not be removed')
    return false
  }
}

/** Whether an image has no other names than those that executors pulled it by. */
function isOurs({ tags, digests }: ImageFacts, { names }: ImageUse): boolean {
  const repositories = names.map(repositoryOf)
  return (
    tags.every(tag => names.includes(canonicalName(tag))) &&
    digests.every(digest => repositories.includes(repositoryOf(digest)))
  )
}
