/** Lists the files of a repository of Hugging Face, at one commit. */
import type { HuggingFaceVolume } from '@horde/protocol/job/volumes'
import { z } from 'zod'
import { JobFailure } from '../../job/job-failure.ts'
import { checkedPath } from '../volume-path.ts'
import { type ShellPattern, shellPattern } from './shell-pattern.ts'

/** The most files and folders of a repository, also of those that no pattern selects. */
const MAX_LISTED = 100_000
/** The most patterns, and the longest one, in characters: each is matched against each file. */
const MAX_PATTERNS = 100
const MAX_PATTERN_CHARACTERS = 1_000
/** How many entries are read before other work gets a turn. */
const ENTRIES_A_TURN = 100

const COMMIT = /^[0-9a-f]{40}$/

const size = z.int().nonnegative()
const listed = z.object({
  type: z.string(),
  path: z.string(),
  size,
  oid: z.string().nullish(),
  lfs: z.object({ oid: z.string(), size }).nullish(),
})

/** A file of a repository. */
export interface SnapshotFile {
  path: string
  /** In bytes. */
  size: number
  /** Of the contents, in hex: `sha256` for a file of LFS or Xet, `git` for the id of a blob. */
  digest: { kind: 'sha256' | 'git'; hex: string } | undefined
}

export interface Snapshot {
  commit: string
  files: SnapshotFile[]
}

/**
 * Returns the files that the volume's patterns select. The revision is asked for once: all else is of the commit that it
 * was then. Rejects with JobFailure, or as `request` does.
 *
 * @param request how the library sends its requests
 */
export async function listSnapshot(
  volume: HuggingFaceVolume,
  hubUrl: string,
  request: typeof fetch,
  signal: AbortSignal,
): Promise<Snapshot> {
  const patterns = checkedPatterns(volume.allowPatterns)
  const library = await import('@huggingface/hub')
  const repo = { type: volume.repoType ?? 'model', name: volume.repoId }
  const about = { hubUrl, fetch: request, revision: volume.revision || 'main' }
  const wanted = { ...about, name: repo.name, additionalFields: ['sha' as const] }
  const infos = {
    model: () => library.modelInfo(wanted),
    dataset: () => library.datasetInfo(wanted),
    space: () => library.spaceInfo(wanted),
  }
  const { sha: commit } = await infos[repo.type]()
  if (typeof commit !== 'string' || !COMMIT.test(commit))
    throw new JobFailure('The hub names no commit of the revision')
  const files: SnapshotFile[] = []
  let count = 0
  for await (const entry of library.listFiles({ ...about, repo, revision: commit, recursive: true })) {
    count += 1
    if (count > MAX_LISTED) throw new JobFailure(`The repository has more than ${MAX_LISTED} files and folders`)
    if (count % ENTRIES_A_TURN === 0) await new Promise(setImmediate)
    signal.throwIfAborted()
    const file = listed.parse(entry)
    if (file.type === 'file' && isSelected(file.path, patterns)) files.push(snapshotFile(file))
  }
  return { commit, files }
}

function checkedPatterns(texts: readonly string[] | null): ShellPattern[] | undefined {
  if (texts === null) return undefined
  if (texts.length > MAX_PATTERNS || texts.some(text => text.length > MAX_PATTERN_CHARACTERS)) {
    const limits = `at most ${MAX_PATTERNS}, each of at most ${MAX_PATTERN_CHARACTERS} characters`
    throw new JobFailure(`It has too many or too long patterns; give ${limits}`)
  }
  return texts.map(shellPattern)
}

function isSelected(path: string, patterns: readonly ShellPattern[] | undefined): boolean {
  return patterns === undefined || patterns.some(matches => matches(path))
}

function snapshotFile({ path, size, oid, lfs }: z.output<typeof listed>): SnapshotFile {
  const isExact = checkedPath(path) === path
  if (!isExact) throw new JobFailure('The repository has a file whose path has empty or "." parts')
  if (lfs && /^[0-9a-f]{64}$/.test(lfs.oid)) return { path, size: lfs.size, digest: { kind: 'sha256', hex: lfs.oid } }
  const isBlob = !lfs && oid && /^[0-9a-f]{40}$/.test(oid)
  return { path, size: lfs?.size ?? size, digest: isBlob ? { kind: 'git', hex: oid } : undefined }
}
