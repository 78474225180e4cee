/**
 * Keeps inputs in a cache until it is killed, and prints a dot for each. Its arguments are the cache's folder, and a
 * folder to make the inputs in.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { openInputCache } from '../../src/inputs/cache/input-cache.ts'

const [, , cacheFolder, folder = ''] = process.argv
const settings = {
  INPUT_CACHE_FOLDER: cacheFolder,
  INPUT_CACHE_MAX_BYTES: 100_000_000,
  INPUT_CACHE_MAX_AGE_SECONDS: 3_600,
}
const cache = await openInputCache(settings, { clock: systemClock, log: createLog('test', { level: 'warn' }) })
for (;;) {
  const path = join(folder, randomUUID())
  await writeFile(path, randomBytes(1_000_000))
  await cache?.keep([path], '"v1"', path)
  await rm(path)
  process.stdout.write('.')
}
