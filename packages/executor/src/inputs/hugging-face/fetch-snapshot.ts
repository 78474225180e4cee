/** Downloads a snapshot of a repository of Hugging Face. */
import type { HuggingFaceVolume } from '@horde/protocol/job/volumes'
import { RequestError } from '../../http/request.ts'
import { TargetError } from '../../http/targets.ts'
import { JobFailure } from '../../job/job-failure.ts'
import type { FetchedVolume, VolumeDeps } from '../fetched-volume.ts'
import { fetchFile } from '../files/fetch-file.ts'
import { fileDigest } from '../files/file-digest.ts'
import { fileOnDisk } from '../files/file-on-disk.ts'
import type { InputFile } from '../input-tree.ts'
import { LimitFailure } from '../limits/limit-failure.ts'
import { type Hub, hubFetch, hubSource } from './hub-fetch.ts'
import { listSnapshot, type SnapshotFile } from './list-snapshot.ts'

/** How many files are downloaded at once: a repository has many small ones. */
const AT_ONCE = 4

/** A name, or the name of a user or organisation and a name. */
const REPOSITORY = /^(?!.*\.\.)\w[\w.-]{0,95}(\/\w[\w.-]{0,95})?$/

/** Returns the files of the snapshot by path. Rejects with JobFailure when the volume or the hub is at fault. */
export async function fetchSnapshot(
  volume: HuggingFaceVolume,
  deps: VolumeDeps,
  signal: AbortSignal,
): Promise<FetchedVolume['files']> {
  if (!REPOSITORY.test(volume.repoId)) {
    throw new JobFailure('Its repository has no valid name; give it as name or owner/name')
  }
  const hub = hubFor(volume, deps)
  try {
    const { commit, files } = await listSnapshot(volume, hub.endpoint, hubFetch(hub, deps, signal), signal)
    deps.log.info({ commit, files: files.length }, 'a repository of Hugging Face is loaded')
    if (files.length > deps.budget.entriesLeft) {
      throw new LimitFailure('files', 'The repository has too many files; select some by patterns')
    }
    // Nothing is downloaded of a snapshot that is too large.
    deps.budget.addReceived(files.reduce((sum, { size }) => sum + size, 0))
    return await fetchAll(files, signal, (file, stage) => fetchOne(file, commit, volume, hub, deps, stage))
  } catch (error) {
    signal.throwIfAborted()
    throw hubFailure(error)
  }
}

/** The operator's token is for a job's only volume, as other executors have it. */
function hubFor(volume: HuggingFaceVolume, { hub, isOnly, allowPrivate }: VolumeDeps): Hub {
  const token = volume.token || (isOnly ? hub.token : undefined)
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) throw new JobFailure('Its token has invalid characters')
  return { endpoint: hub.endpoint, token, allowPrivate }
}

/** Fetches the files, some at once. The first that fails ends all others; then it rejects with that failure. */
async function fetchAll(
  files: readonly SnapshotFile[],
  signal: AbortSignal,
  fetch: (file: SnapshotFile & { index: number }, signal: AbortSignal) => Promise<InputFile>,
): Promise<FetchedVolume['files']> {
  const fetched: (readonly [string, InputFile])[] = []
  const queue = files.entries()
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const worker = async () => {
    for (const [index, file] of queue) {
      either.throwIfAborted()
      fetched[index] = [file.path, await fetch({ ...file, index }, either)]
    }
  }
  const workers = Array.from({ length: AT_ONCE }, () => worker().catch(error => stop.abort(error)))
  await Promise.all(workers)
  either.throwIfAborted()
  return fetched
}

async function fetchOne(
  file: SnapshotFile & { index: number },
  commit: string,
  { repoId, repoType }: HuggingFaceVolume,
  hub: Hub,
  deps: VolumeDeps,
  signal: AbortSignal,
): Promise<InputFile> {
  const { path, size, digest } = file
  const type = repoType ?? 'model'
  const prefix = type === 'model' ? '' : `${type}s/`
  const encoded = path.split('/').map(encodeURIComponent).join('/')
  // Without a header of its own, the hub redirects to the whole file, also where it keeps files by LFS or Xet.
  const url = `${hub.endpoint}/${prefix}${repoId}/resolve/${commit}/${encoded}`
  const wanted = {
    source: hubSource(url, hub),
    name: `${deps.index}-${file.index}`,
    maxBytes: size,
    limit: 'bytes' as const,
    // A file that did not change has the same key in the next revision.
    key: ['hugging-face', hub.endpoint, type, repoId, ...(digest ? [digest.kind, digest.hex] : [commit, path])],
    check: (stored: string) => checkContents(stored, file),
  }
  const stored = await fetchFile(wanted, deps, signal).catch(error => {
    throw error instanceof LimitFailure ? new JobFailure(OTHER_FILE) : error
  })
  return await fileOnDisk(stored)
}

const OTHER_FILE = 'The hub sent another file than the one that it lists; try again'

async function checkContents(path: string, { size, digest }: SnapshotFile): Promise<void> {
  const file = await fileOnDisk(path)
  if (file.size !== size || (digest !== undefined && (await digestOf(path, digest.kind, size)) !== digest.hex)) {
    throw new JobFailure(OTHER_FILE)
  }
}

function digestOf(path: string, kind: 'sha256' | 'git', size: number): Promise<string> {
  return kind === 'git' ? fileDigest(path, 'sha1', `blob ${size}\0`) : fileDigest(path, 'sha256')
}

function hubFailure(error: unknown): unknown {
  if (error instanceof JobFailure) return error
  if (error instanceof TargetError) return new JobFailure(`A download of the repository was refused: ${error.message}`)
  if (error instanceof RequestError) {
    const { status } = error
    const refused = status === 401 || status === 403 ? '; it may be private, or need a token with access' : ''
    const missing = status === 404 ? '; check its name, type and revision' : ''
    return new JobFailure(`The repository could not be fetched: ${error.message}${refused}${missing}`)
  }
  // A full or broken disk is not the hub's.
  if ((error as NodeJS.ErrnoException).syscall !== undefined) return error
  return new JobFailure('The answer of the hub could not be read', (error as Error).message)
}
