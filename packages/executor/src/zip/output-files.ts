/** From a tar of /output into a zip: its regular files, each under all of its names, and nothing else. */
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { extract, type Header } from 'tar-stream'
import type { ZipFile } from 'yazl'
import { JobFailure } from '../job-failure.ts'

const PREFIX = 'output/'
/** What makes a name absolute to Windows programs. */
const DRIVE = /^([a-z]):/i

export interface FileLimits {
  /** Of the files together, in bytes. */
  maxBytes: number
  maxFiles: number
}

export interface OutputSource {
  /** Opens the tar of /output; the second time it holds the same. */
  openTar(): Promise<Readable>
  /** Files of this process's own may be made here; they must stay until the zip is written. */
  folder: string
}

type Entry = ReturnType<typeof extract> extends AsyncIterable<infer E> ? E : never

/** What a zip is told of a file besides its contents. */
interface FileFacts {
  mode: number
  mtime: Date
}

/** Further names of a file, as zips have them, by the name under which the tar holds its contents. */
type FurtherNames = Map<string, { name: string; facts: FileFacts }[]>

/**
 * Adds the files of /output to a zip. Links are not followed, special files not opened: the tar only tells of them, and
 * they are left out. Of a file with several names the tar holds the contents under the first alone; the others are
 * served in a second round. Rejects with JobFailure.
 */
export async function addFiles(
  zip: ZipFile,
  source: OutputSource,
  limits: FileLimits,
  signal: AbortSignal,
): Promise<void> {
  const further: FurtherNames = new Map()
  const sizes = new Map<string, number>()
  const total = { files: 0, bytes: 0 }
  for await (const entry of entriesOf(await source.openTar(), signal)) {
    const { header } = entry
    const name = outputName(header)
    if (isRegular(header)) sizes.set(header.name, header.size ?? 0)
    if (name !== undefined && header.type === 'link' && header.linkname) {
      further.set(header.linkname, [...(further.get(header.linkname) ?? []), { name, facts: factsOf(header) }])
      count(total, sizes.get(header.linkname) ?? 0, limits)
    } else if (name !== undefined && isRegular(header)) {
      count(total, header.size ?? 0, limits)
      const contents = Readable.from(entry, { objectMode: false })
      zip.addReadStream(contents, name, factsOf(header))
      await finished(contents, { signal, writable: false })
      continue
    }
    entry.resume()
  }
  if (further.size > 0) await addFurtherNames(zip, source, further, signal)
}

async function addFurtherNames(
  zip: ZipFile,
  { openTar, folder }: OutputSource,
  further: FurtherNames,
  signal: AbortSignal,
): Promise<void> {
  let kept = 0
  for await (const entry of entriesOf(await openTar(), signal)) {
    const names = isRegular(entry.header) ? further.get(entry.header.name) : undefined
    if (names === undefined) {
      entry.resume()
      continue
    }
    const path = join(folder, `several-names-${kept}`)
    kept += 1
    await pipeline(Readable.from(entry), createWriteStream(path, { mode: 0o600 }), { signal })
    for (const { name, facts } of names) zip.addFile(path, name, facts)
  }
}

async function* entriesOf(tar: Readable, signal: AbortSignal): AsyncGenerator<Entry, void, undefined> {
  const entries = extract()
  const read = pipeline(tar, entries as unknown as NodeJS.WritableStream, { signal })
  read.catch(error => entries.destroy(error as Error))
  try {
    yield* entries
    await read
  } finally {
    tar.destroy()
  }
}

function count(total: { files: number; bytes: number }, bytes: number, limits: FileLimits): void {
  total.files += 1
  total.bytes += bytes
  if (total.files > limits.maxFiles) throw new JobFailure('There are too many output files')
  if (total.bytes > limits.maxBytes) throw new JobFailure('The outputs are too large')
}

function isRegular({ type }: Header): boolean {
  return type === 'file' || type === 'contiguous-file'
}

/** A name beneath /output as a zip has it; undefined for the names that are ours. */
function outputName({ name }: Header): string | undefined {
  if (!name.startsWith(PREFIX)) return undefined
  const inside = name.slice(PREFIX.length).replaceAll('\\', '_').replace(DRIVE, '$1_')
  return inside === '' || inside === 'stdout.txt' || inside === 'stderr.txt' ? undefined : inside
}

/** A zip's dates begin in 1980 and end in 2107. */
function factsOf({ mode = 0o644, mtime }: Header): FileFacts {
  const year = mtime?.getUTCFullYear() ?? 0
  return { mode: 0o100000 | (mode & 0o777), mtime: mtime && year > 1980 && year < 2107 ? mtime : new Date() }
}
