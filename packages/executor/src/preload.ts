/** The command `preload`: gets the images that this host is to have at hand, and makes room on its disk. */

import { connectDefaultEngine } from '@horde/engine/connect'
import { createLog } from '@horde/kit/log'
import type { HostSettings } from './config.ts'
import { defaultStateFolder, openStateFolder } from './host/state-folder.ts'
import { ImageStore } from './images/image-store.ts'

const EXIT_MISSED = 1

/** One line for each image. Gives the exit code: 0 when all of them are here, else 1. */
export async function preload(settings: HostSettings, signal: AbortSignal): Promise<number> {
  const log = createLog('executor', { level: settings.LOG_LEVEL })
  const state = await openStateFolder(settings.STATE_FOLDER ?? defaultStateFolder(), log)
  const engine = await connectDefaultEngine({ callMs: settings.ENGINE_CALL_SECONDS * 1_000 })
  const images = new ImageStore({ engine, settings, state, log })
  let missed = 0
  for (const image of settings.PRELOAD_IMAGES) {
    try {
      await images.ensure(image, 'operator', signal)
      log.info({ image }, 'the image is here')
    } catch (err) {
      signal.throwIfAborted()
      missed += 1
      log.error({ image, why: (err as Error).message }, 'the image could not be preloaded')
    }
  }
  await images.makeRoom(signal)
  return missed === 0 ? 0 : EXIT_MISSED
}
