/** Fetching the volumes of a job and reading what its container would get. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Volume } from '@horde/protocol/job/volumes'
import { WAIT_MS } from '@horde/testing/limits'
import { extract } from 'tar-stream'
import { fetchVolumes } from '../../src/inputs/fetch-volumes.ts'
import type { FetchDeps } from '../../src/inputs/fetched-volume.ts'
import { InputFailure } from '../../src/inputs/limits/input-failure.ts'
import { packInputs } from '../../src/inputs/pack-inputs.ts'
import { SkippedPauses } from '../http/skipped-pauses.ts'
import { type TestLimits, volumeDeps } from './volume-deps.ts'

export type PackedDeps = Partial<TestLimits & Pick<FetchDeps, 'cache' | 'hub'>> & { retries?: SkippedPauses }

/** Returns the texts below volume/ by path, null for folders; or the message of the failure. */
export async function packed(
  volumes: Volume[],
  { cache, hub, retries = new SkippedPauses(), ...limits }: PackedDeps = {},
): Promise<Record<string, string | null> | string> {
  const folder = await mkdtemp(join(tmpdir(), 'packed-'))
  try {
    const all = { maxBytes: 1_000_000, maxEntries: 1_000, allowPrivate: true, ...limits }
    const deps = volumeDeps(folder, all, retries)
    const fetched = fetchVolumes(volumes, { ...deps, cache, hub: hub ?? deps.hub }, AbortSignal.timeout(WAIT_MS))
    const tar = extract()
    packInputs(await fetched, {})
      .on('error', error => tar.destroy(error))
      .pipe(tar)
    const found: [string, string | null][] = []
    for await (const entry of tar) {
      const { name, type } = entry.header
      const contents = await text(entry)
      if (/^volume\/./.test(name)) found.push([name.slice('volume/'.length), type === 'directory' ? null : contents])
    }
    return Object.fromEntries(found)
  } catch (error) {
    if (error instanceof InputFailure) return error.message
    throw error
  } finally {
    await rm(folder, { recursive: true })
  }
}
