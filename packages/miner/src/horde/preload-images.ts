/** Pulls the images that jobs often need to where executors run, before the first job needs them. */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { ExecutorManager } from './manager.ts'

/** How long it may take, in milliseconds. */
const PRELOAD_MS = 3_600_000

export type PreloadDeps = {
  manager: ExecutorManager
  /** The environment of the executors; without PRELOAD_IMAGES in it there is nothing to do. */
  environment: Readonly<Record<string, string>>
  clock: Clock
  log: Log
}

/** Resolves when it is done, or was stopped by the signal. Never rejects: a failure is a warning. */
export async function preloadImages(deps: PreloadDeps, signal: AbortSignal): Promise<void> {
  const { manager, environment, clock, log } = deps
  if (manager.preload === undefined || !environment.PRELOAD_IMAGES?.trim()) return
  const over = new AbortController()
  try {
    const preload = await manager.preload(environment)
    log.info({ id: preload.id }, 'preloading images')
    const late = clock.sleep(PRELOAD_MS, AbortSignal.any([signal, over.signal])).catch(() => {})
    const how = await Promise.race([preload.exited, late])
    await preload.stop()
    if (signal.aborted) return
    if (how === 'exit code 0') log.info('images preloaded')
    else log.warn({ how: how ?? 'took too long' }, 'not all images could be preloaded')
  } catch (err) {
    log.warn({ err }, 'images could not be preloaded')
  } finally {
    over.abort()
  }
}
