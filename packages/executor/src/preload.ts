/** The command `preload`: pulls the images in PRELOAD_IMAGES, and removes unused images if the disk is too full. */
import { connectDefaultEngine } from '@horde/engine/connect'
import { createLog } from '@horde/kit/log'
import type { HostSettings } from './config.ts'
import { defaultStateFolder, openStateFolder } from './host/state-folder.ts'
import { ImageStore } from './images/image-store.ts'

const EXIT_MISSING = 1

/** Logs one line for each image. Returns the exit code: 0 when this host has all of them, else 1. */
export async function preload(settings: HostSettings, signal: AbortSignal): Promise<number> {
  const log = createLog('executor', { level: settings.LOG_LEVEL })
  const state = await openStateFolder(settings.STATE_FOLDER ?? defaultStateFolder(), log)
  const engine = await connectDefaultEngine({ callMs: settings.ENGINE_CALL_SECONDS * 1_000 })
  const images = new ImageStore({ engine, settings, state, log })
  let missing = 0
  for (const image of settings.PRELOAD_IMAGES) {
    try {
      await images.ensure(image, 'operator', signal)
      log.info({ image }, 'image preloaded')
    } catch (err) {
      signal.throwIfAborted()
      missing += 1
      log.error({ image, why: (err as Error).message }, 'could not preload the image')
    }
  }
  await images.makeRoom(signal)
  return missing === 0 ? 0 : EXIT_MISSING
}
