/** Provides the images that one executor's jobs need on this host, each checked once. */

import type { Engine } from '@horde/engine/engine'
import { hasCode } from '@horde/engine/engine-error'
import { isFromRegistry, isImageName, parseImageName } from '@horde/engine/images/image-name'
import type { ImageFacts } from '@horde/engine/images/images'
import type { Log } from '@horde/kit/log'
import type { HostSettings } from '../config.ts'
import { engineDisk, usedPercent } from '../container/disk.ts'
import type { StateFolder } from '../host/state-folder.ts'
import { resolveAlias } from './aliases.ts'
import { ImageUses } from './image-uses.ts'
import { ImageError, pullImage } from './pull-image.ts'
import { credentialsFor } from './registry-credentials.ts'
import { pinnedImages, removeUnusedImages } from './remove-unused-images.ts'

/** An image that the engine has. */
export interface ReadyImage extends ImageFacts {
  /** The name as the engine takes it. */
  name: string
}

/** Who chose the name of an image: a job's may have to have a digest. */
export type ChosenBy = 'job' | 'operator'

export interface ImageStoreDeps {
  engine: Engine
  settings: HostSettings
  /** Remembers which images executors pulled. */
  state: StateFolder
  log: Log
}

export class ImageStore {
  readonly #deps: ImageStoreDeps
  readonly #uses: ImageUses
  readonly #ready = new Map<string, ReadyImage>()

  constructor(deps: ImageStoreDeps) {
    this.#deps = deps
    this.#uses = new ImageUses(deps.state, Date.now)
  }

  /**
   * Makes sure that the engine has an image, by the pull policy of this host: an image that is here is used as it is,
   * or pulled again in case its registry has a newer one; a missing image is pulled. A second call for the same image
   * asks neither engine nor registry. Rejects with ImageError.
   */
  async ensure(name: string, chosenBy: ChosenBy, signal: AbortSignal): Promise<ReadyImage> {
    const { settings } = this.#deps
    if (!isImageName(name)) throw new ImageError('The image that the job names has no valid name')
    const used = resolveAlias(name, settings.IMAGE_ALIASES)
    if (chosenBy === 'job' && settings.REQUIRE_IMAGE_DIGEST && !isPinned(used)) {
      throw new ImageError(`The image ${used} is refused: this host requires names with a digest, name@sha256:…`)
    }
    const image = this.#ready.get(used) ?? { name: used, ...(await this.#ensure(used, signal)) }
    this.#ready.set(used, image)
    return image
  }

  /**
   * Removes unused images when the engine's disk is too full. A failure is logged as a warning; aborting the signal
   * ends it between two images.
   *
   * @param knownFolder the engine's data folder. Default: the engine is asked, which may start programs to answer.
   */
  async makeRoom(signal: AbortSignal, knownFolder?: string): Promise<void> {
    const { engine, settings, log } = this.#deps
    try {
      const dataFolder = knownFolder ?? (await engine.facts()).dataFolder
      const removal = {
        engine,
        uses: this.#uses,
        pinned: pinnedImages(settings),
        thresholdPercent: settings.IMAGE_DISK_THRESHOLD_PERCENT,
        usedPercent: () => usedPercent(dataFolder),
        log,
      }
      await removeUnusedImages(removal, signal)
    } catch (err) {
      if (!signal.aborted) log.warn({ err }, 'unused images could not be removed')
    }
  }

  async #ensure(name: string, signal: AbortSignal): Promise<ImageFacts> {
    const { settings } = this.#deps
    const present = await this.#find(name)
    if (present !== undefined) {
      const needsRefresh = isRefreshed(name, present, settings.IMAGE_PULL_POLICY)
      const image = needsRefresh ? await this.#refresh(name, present, signal) : present
      await this.#uses.used(image.id, name)
      return image
    }
    if (settings.IMAGE_PULL_POLICY === 'never') {
      throw new ImageError(`The image ${name} is not on this host, which pulls no images`)
    }
    return this.#pull(name, signal)
  }

  /** Returns the newer image of the registry, or the present one when the registry has none or does not answer. */
  async #refresh(name: string, present: ImageFacts, signal: AbortSignal): Promise<ImageFacts> {
    const { settings, log } = this.#deps
    try {
      return await this.#pull(name, signal, { beginMs: settings.REFRESH_TIMEOUT_SECONDS * 1_000, present })
    } catch (err) {
      if (!(err instanceof ImageError)) throw err
      log.warn({ image: name, why: err.message }, 'the image could not be refreshed; using the one on this host')
      return present
    }
  }

  async #pull(
    name: string,
    signal: AbortSignal,
    refresh?: { beginMs: number; present: ImageFacts },
  ): Promise<ImageFacts> {
    const { engine, settings, log } = this.#deps
    // An engine that does not answer this call does not answer the pull either, which then fails with the reason.
    const dataFolder = engine.facts().then(
      facts => facts.dataFolder,
      () => '/',
    )
    const options = {
      credentials: credentialsFor(name, settings.DOCKER_AUTH_CONFIG),
      pullMs: settings.PULL_TIMEOUT_SECONDS * 1_000,
      ...(refresh && { beginMs: Math.min(refresh.beginMs, settings.PULL_TIMEOUT_SECONDS * 1_000) }),
      disk: async () => engineDisk(await dataFolder),
      log,
    }
    await pullImage(engine, name, options, signal)
    const pulled = await this.#find(name)
    if (pulled === undefined) throw new ImageError(`The pull of ${name} ended before the image was there`)
    if (pulled.id !== refresh?.present.id) await this.#uses.pulled(pulled.id, name)
    return pulled
  }

  async #find(name: string): Promise<ImageFacts | undefined> {
    try {
      return await this.#deps.engine.images.find(name)
    } catch (error) {
      if (!hasCode(error, 'invalid')) throw error
      throw new ImageError(`The engine does not accept ${name} as the name of an image`, { cause: error })
    }
  }
}

/** Whether an image that is here is pulled again. */
function isRefreshed(name: string, { digests }: ImageFacts, policy: HostSettings['IMAGE_PULL_POLICY']): boolean {
  const { tag = '' } = parseImageName(name) ?? {}
  // An image with a digest never changes.
  if (isPinned(name) || !isFromRegistry(name, digests)) return false
  return policy === 'always' || (policy === 'latest' && /(?:^|-)latest$/.test(tag))
}

function isPinned(name: string): boolean {
  return parseImageName(name)?.digest !== undefined
}
