/** Fetches all volumes of a job to this disk, and checks them as a whole. */
import type { Volume } from '@horde/protocol/job/volumes'
import { JobFailure } from '../job/job-failure.ts'
import { fetchVolume } from './fetch-volume.ts'
import type { FetchDeps, FetchedVolume } from './fetched-volume.ts'
import { InputTree } from './input-tree.ts'
import type { InputBudget } from './limits/input-budget.ts'
import { InputFailure, inputFailure } from './limits/input-failure.ts'
import { pathBelow } from './volume-path.ts'

/** The most volumes that are zips: each stays open until it is unpacked. */
const MAX_ZIPS = 100

/** The input of a job on this disk, ready to be packed. */
export interface FetchedInputs extends AsyncDisposable {
  readonly tree: InputTree
  /** Returns the failure of the job for an error while the volume at a position is read. */
  failureOf(error: unknown, volume: number): unknown
  /** Ends the unpacking of what takes long. */
  stop(): void
}

/**
 * Fetches the volumes, one after the other. A later one may replace files of earlier ones. Rejects with InputFailure
 * when a volume is at fault.
 */
export async function fetchVolumes(
  volumes: readonly Volume[],
  deps: FetchDeps,
  signal: AbortSignal,
): Promise<FetchedInputs> {
  const failureOf = (error: unknown, index: number) =>
    error instanceof JobFailure ? inputFailure(error, volumes, index, deps.budget) : error
  checkNumber(volumes, deps.budget)
  const tree = new InputTree()
  await using opened = new AsyncDisposableStack()
  const fetched: FetchedVolume[] = []
  for (const [index, volume] of volumes.entries()) {
    signal.throwIfAborted()
    try {
      const contents = opened.use(await fetchVolume(volume, { ...deps, index, isOnly: volumes.length === 1 }, signal))
      fetched.push(contents)
      addTo(tree, contents, index, deps.budget)
    } catch (error) {
      signal.throwIfAborted()
      throw failureOf(error, index)
    }
  }
  const open = opened.move()
  return {
    tree,
    failureOf,
    stop: () => {
      for (const contents of fetched) contents.stop?.()
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

function checkNumber(volumes: readonly Volume[], budget: InputBudget): void {
  const zips = volumes.filter(({ kind }) => kind === 'inline-zip' || kind === 'zip-url').length
  if (zips > MAX_ZIPS) throw new InputFailure(`The job has ${zips} zips as volumes; at most ${MAX_ZIPS} are loaded`)
  if (volumes.length > budget.entriesLeft) {
    throw new InputFailure(`The job has too many volumes (${budget.describe('files')})`)
  }
}

function addTo(tree: InputTree, { folder, folders, files }: FetchedVolume, index: number, budget: InputBudget): void {
  budget.addEntries(tree.addFolder(folder))
  for (const path of folders) budget.addEntries(tree.addFolder(pathBelow(folder, path)))
  for (const [path, file] of files) {
    budget.addContents(file.size)
    budget.addEntries(tree.addFile(pathBelow(folder, path), file, index))
  }
}
