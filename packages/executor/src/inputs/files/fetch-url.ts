import { stat } from 'node:fs/promises'
import { RequestError } from '../../http/request.ts'
import { TargetError } from '../../http/targets.ts'
import { JobFailure } from '../../job/job-failure.ts'
import type { VolumeDeps } from '../fetched-volume.ts'
import { fetchFile } from './fetch-file.ts'

/** Fetches what is behind a URL that a job names, and returns its path. Rejects with JobFailure. */
export async function fetchUrl(url: string, deps: VolumeDeps, signal: AbortSignal): Promise<string> {
  const wanted = { source: { url }, name: `${deps.index}`, key: ['url', url], ...deps.budget.download }
  try {
    const path = await fetchFile(wanted, deps, signal)
    deps.budget.addReceived((await stat(path)).size)
    return path
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof TargetError) throw new JobFailure(`Input URL refused: ${error.message}`)
    if (error instanceof RequestError) throw new JobFailure(`Input could not be fetched: ${error.message}`)
    throw error
  }
}
