/** Fetches one file into the job's folder: from the host's cache if its server says that it is unchanged. */
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { download } from '../../http/download.ts'
import type { Source } from '../../http/follow.ts'
import { ByteLimitError } from '../../zip/byte-limit.ts'
import type { FetchDeps } from '../fetched-volume.ts'
import { type InputLimit, LimitFailure } from '../limits/limit-failure.ts'

export interface WantedFile {
  source: Source
  /** The file's name in the job's folder. */
  name: string
  maxBytes: number
  /** The limit that `maxBytes` comes from. */
  limit: InputLimit
  /** What the file is in the cache: texts that tell it from all others. They may be secret. */
  key: readonly string[]
  /** Checks a file that was downloaded; rejects when it is another one. */
  check?(path: string): Promise<void>
}

/** Returns the file's path. Rejects as `download` does, or with LimitFailure, or as `check` does. */
export async function fetchFile(
  { source, name, maxBytes, limit, key, check }: WantedFile,
  deps: FetchDeps,
  signal: AbortSignal,
): Promise<string> {
  const { folder, cache, allowPrivate, log } = deps
  const [kept, path] = [join(folder, `${name}.kept`), join(folder, name)]
  const known = await cache?.take(key, kept)
  const got = await download(source, path, { maxBytes, allowPrivate }, deps, signal, known).catch(error => {
    throw error instanceof ByteLimitError ? new LimitFailure(limit) : error
  })
  if (got.isUnchanged) {
    await rm(path, { force: true })
    const { size } = await stat(kept)
    log.info({ size }, 'an input is taken from the cache')
    if (size > maxBytes) throw new LimitFailure(limit)
    return kept
  }
  await rm(kept, { force: true })
  await check?.(path)
  if (got.etag !== undefined) await cache?.keep(key, got.etag, path)
  return path
}
