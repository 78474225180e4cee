/** Copies the regular files of a tar of /output into a zip, each under all of its names. */
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { extract, type Header } from 'tar-stream'
import type { ZipFile } from 'yazl'
import { JobFailure } from '../job/job-failure.ts'
import { OutputNames, OWN_FILES } from './output-names.ts'

const PREFIX = 'output/'

/** The longest path, in bytes. Slightly longer paths are missing from an engine's archive, without an error. */
const MAX_PATH_BYTES = 3_000

export interface FileLimits {
  /** The size of the files together, in bytes. */
  maxBytes: number
  maxFiles: number
}

export interface OutputSource {
  /** Opens the tar of /output; a second call returns the same contents. */
  openTar(): Promise<Readable>
  /** A folder for temporary files, which must stay until the zip is written. */
  folder: string
}

type Entry = ReturnType<typeof extract> extends AsyncIterable<infer E> ? E : never

/** What a zip holds about a file besides its contents. */
interface FileFacts {
  /** The permissions, also 000; set-user-id and the like are removed. */
  mode: number
  mtime: Date
}

/** Further names of a file, as zips have them, by the name under which the tar holds its contents. */
type FurtherNames = Map<string, { name: string; facts: FileFacts }[]>

/**
 * Adds the files of /output to a zip, without symbolic links and special files. The tar holds the contents of a file
 * with several names under the first one only, so its other names are added in a second pass. Rejects with JobFailure.
 */
export async function addFiles(
  zip: ZipFile,
  source: OutputSource,
  limits: FileLimits,
  signal: AbortSignal,
): Promise<void> {
  const further: FurtherNames = new Map()
  const names = new OutputNames()
  const sizes = new Map<string, number>()
  const total = { files: 0, bytes: 0 }
  for await (const entry of entriesOf(await opened(source, signal), signal)) {
    const { header } = entry
    if (Buffer.byteLength(header.name) > MAX_PATH_BYTES) throw new JobFailure('The outputs are nested too deeply')
    const path = pathOf(header)
    if (isRegular(header)) sizes.set(header.name, header.size ?? 0)
    if (path !== undefined && header.type === 'link' && sizes.has(header.linkname ?? '')) {
      const { linkname: first = '' } = header as { linkname?: string }
      count(total, sizes.get(first) ?? 0, limits)
      further.set(first, [...(further.get(first) ?? []), { name: names.next(path), facts: factsOf(header) }])
    } else if (path !== undefined && isRegular(header)) {
      count(total, header.size ?? 0, limits)
      const contents = withErrorsIgnored(Readable.from(entry, { objectMode: false }))
      zip.addReadStream(contents, names.next(path), factsOf(header))
      await finished(contents, { signal, writable: false })
      continue
    }
    entry.resume()
  }
  if (further.size > 0) await addFurtherNames(zip, source, further, signal)
}

async function addFurtherNames(
  zip: ZipFile,
  source: OutputSource,
  further: FurtherNames,
  signal: AbortSignal,
): Promise<void> {
  let kept = 0
  for await (const entry of entriesOf(await opened(source, signal), signal)) {
    const names = isRegular(entry.header) ? further.get(entry.header.name) : undefined
    further.delete(entry.header.name)
    if (names === undefined) {
      entry.resume()
      continue
    }
    const path = join(source.folder, `several-names-${kept}`)
    kept += 1
    await pipeline(withErrorsIgnored(Readable.from(entry)), createWriteStream(path, { mode: 0o600 }), { signal })
    for (const { name, facts } of names) zip.addFile(path, name, facts)
  }
}

/** Opens the tar. When the signal aborts first, a tar that comes later is closed. */
async function opened({ openTar }: OutputSource, signal: AbortSignal): Promise<Readable> {
  const tar = openTar()
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    return await Promise.race([tar, aborted.promise])
  } catch (error) {
    tar.then(late => late.destroy()).catch(() => {})
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

async function* entriesOf(tar: Readable, signal: AbortSignal): AsyncGenerator<Entry, void, undefined> {
  const entries = extract()
  const read = pipeline(withErrorsIgnored(tar), entries as unknown as NodeJS.WritableStream, { signal })
  read.catch(error => entries.destroy(error as Error))
  try {
    yield* entries
    await read
  } finally {
    tar.destroy()
  }
}

/**
 * Returns the stream, with a listener that ignores its errors. Its reader gets them in another way, but after an abort
 * the reader has stopped listening, and an error of the stream would end the process.
 */
function withErrorsIgnored<S extends Readable>(stream: S): S {
  return stream.on('error', () => {})
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

/** Returns the path below /output; undefined for /output itself and for the executor's own file names. */
function pathOf({ name }: Header): string | undefined {
  const path = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : ''
  return path === '' || OWN_FILES.includes(path) ? undefined : path
}

/** A zip's dates begin in 1980 and end in 2107. */
function factsOf({ mode = 0o644, mtime }: Header): FileFacts {
  const year = mtime?.getUTCFullYear() ?? 0
  return { mode: 0o100000 | (mode & 0o777), mtime: mtime && year > 1980 && year < 2107 ? mtime : new Date() }
}
