/** Pulls the images that jobs often need to where executors run, before the first job needs them. */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { Horde } from './horde.ts'
import { type ExecutorManager, exitCodeOf } from './manager.ts'

/** How long the preload of a pool may take, in milliseconds. */
const PRELOAD_MS = 3_600_000

type PreloadDeps = {
  manager: ExecutorManager
  /** The environment of the executors; without PRELOAD_IMAGES in it there is nothing to do. */
  environment: Readonly<Record<string, string>>
  clock: Clock
  log: Log
}

/** Preloads the images of all pools in the background: the miner works without them. Closing `stack` stops it. */
export function startPreload(
  pools: ReturnType<Horde['pools']>,
  clock: Clock,
  log: Log,
  stack: AsyncDisposableStack,
): void {
  const stopped = new AbortController()
  const preload = Promise.all(
    pools.map(({ settings: { environment }, manager }) => {
      return preloadImages({ manager, environment, clock, log }, stopped.signal)
    }),
  )
  stack.defer(async () => {
    stopped.abort()
    await preload
  })
}

/** Resolves when it is done, or was stopped by the signal. Never rejects: a failure is a warning. */
async function preloadImages(deps: PreloadDeps, signal: AbortSignal): Promise<void> {
  const { manager, environment, clock, log } = deps
  if (manager.preload === undefined || !environment.PRELOAD_IMAGES?.trim()) return
  const over = new AbortController()
  try {
    const preload = await manager.preload(environment)
    log.info({ id: preload.id }, 'preloading images')
    const late = clock.sleep(PRELOAD_MS, AbortSignal.any([signal, over.signal])).catch(() => {})
    const exit = Promise.all([preload.exited, exitCodeOf(preload)])
    const [how, code] = (await Promise.race([exit, late])) ?? ['took too long']
    await preload.stop()
    if (signal.aborted) return
    if (code === 0) log.info('images preloaded')
    else log.warn({ how }, 'not all images could be preloaded')
  } catch (err) {
    log.warn({ err }, 'images could not be preloaded')
  } finally {
    over.abort()
  }
}
