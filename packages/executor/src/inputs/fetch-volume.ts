/** Fetches one volume of a job to this disk. */
import { join } from 'node:path'
import type { Volume } from '@horde/protocol/job/volumes'
import { InputZip } from '../zip/input-zip.ts'
import type { FetchedVolume, VolumeDeps } from './fetched-volume.ts'
import { fetchUrl } from './files/fetch-url.ts'
import { fileOnDisk } from './files/file-on-disk.ts'
import { writeBase64 } from './files/write-base64.ts'
import type { InputBudget } from './limits/input-budget.ts'
import { checkedFolder, checkedPath } from './volume-path.ts'

const NOTHING_OPEN = { [Symbol.asyncDispose]: async () => {} }

/** Rejects with JobFailure when the volume is at fault. Its path is checked before anything is requested. */
export async function fetchVolume(volume: Volume, deps: VolumeDeps, signal: AbortSignal): Promise<FetchedVolume> {
  if (volume.kind === 'file-url') {
    const path = checkedPath(volume.path)
    const file = await fileOnDisk(await fetchUrl(volume.url, deps, signal))
    return { folder: '', folders: [], files: [[path, file]], ...NOTHING_OPEN }
  }
  const folder = checkedFolder(volume.folder)
  if (volume.kind === 'hugging-face') {
    // Loaded with the first such volume: most jobs have none.
    const { fetchSnapshot } = await import('./hugging-face/fetch-snapshot.ts')
    return { folder, folders: [], files: await fetchSnapshot(volume, deps, signal), ...NOTHING_OPEN }
  }
  if (volume.kind === 'zip-url') return openZip(await fetchUrl(volume.url, deps, signal), folder, deps.budget)
  const path = join(deps.folder, `${deps.index}`)
  await writeBase64(volume.base64, path, deps.budget)
  return openZip(path, folder, deps.budget)
}

async function openZip(path: string, folder: string, budget: InputBudget): Promise<FetchedVolume> {
  const zip = await InputZip.open(path, { maxBytes: budget.bytesLeft, maxEntries: budget.entriesLeft })
  const isFile = ({ isDirectory }: { isDirectory: boolean }) => !isDirectory
  return {
    folder,
    folders: zip.entries.filter(entry => !isFile(entry)).map(({ name }) => name),
    files: zip.entries
      .filter(isFile)
      .map(({ name, size, isExecutable, entry }) => [
        name,
        { size, isExecutable, contents: () => zip.contents(entry) },
      ]),
    stop: () => void zip.stop(),
    [Symbol.asyncDispose]: () => zip[Symbol.asyncDispose](),
  }
}
