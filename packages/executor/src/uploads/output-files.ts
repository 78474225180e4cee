/** Copies the regular files of a tar of /output into a zip, each under all of its names. */
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { extract, type Header } from 'tar-stream'
import type { ZipFile } from 'yazl'
import { JobFailure } from '../job/job-failure.ts'
import { isOwnFile, OutputNames } from './output-names.ts'

/** What begins the names in a tar of /output. */
export const PREFIX = 'output/'

/** The most folders above a file in an exact zip. */
const MAX_FOLDERS = 100

/** What stands for bytes that are no UTF-8. */
const NOT_UTF8 = '\ufffd'

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

/** What a zip holds, and how: see ZipUpload in the protocol's job/uploads. */
export interface ZipRules {
  format: 'portable' | 'exact'
  /** Paths of files that do not go into the zip, and do not count. */
  leaveOut: ReadonlySet<string>
}

type Entry = ReturnType<typeof extract> extends AsyncIterable<infer E> ? E : never

/** What a zip holds about a file besides its contents. */
interface FileFacts {
  /** The permissions, also 000; set-user-id and the like are removed. */
  mode: number
  mtime: Date
  compress: boolean
  forceDosTimestamp: boolean
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
  rules: ZipRules,
  signal: AbortSignal,
): Promise<void> {
  const further: FurtherNames = new Map()
  const names = new OutputNames()
  const sizes = new Map<string, number>()
  const total = { files: 0, bytes: 0 }
  for await (const entry of entriesOf(await opened(source, signal), signal)) {
    const { header } = entry
    if (Buffer.byteLength(header.name) > MAX_PATH_BYTES) throw new JobFailure('The outputs are nested too deeply')
    const path = pathOf(header, rules)
    if (isRegular(header)) sizes.set(header.name, header.size ?? 0)
    if (path !== undefined && rules.format === 'exact' && isFile(header)) checkExact(path)
    if (path !== undefined && header.type === 'link' && sizes.has(header.linkname ?? '')) {
      const { linkname: first = '' } = header as { linkname?: string }
      count(total, sizes.get(first) ?? 0, limits)
      further.set(first, [...(further.get(first) ?? []), { name: names.next(path), facts: factsOf(header, rules) }])
    } else if (path !== undefined && isRegular(header)) {
      count(total, header.size ?? 0, limits)
      const contents = withErrorsIgnored(Readable.from(entry, { objectMode: false }))
      zip.addReadStream(contents, names.next(path), factsOf(header, rules))
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
export async function opened({ openTar }: OutputSource, signal: AbortSignal): Promise<Readable> {
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

export async function* entriesOf(tar: Readable, signal: AbortSignal): AsyncGenerator<Entry, void, undefined> {
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
export function withErrorsIgnored<S extends Readable>(stream: S): S {
  return stream.on('error', () => {})
}

function count(total: { files: number; bytes: number }, bytes: number, limits: FileLimits): void {
  total.files += 1
  total.bytes += bytes
  if (total.files > limits.maxFiles) throw new JobFailure('There are too many output files')
  if (total.bytes > limits.maxBytes) throw new JobFailure('The outputs are too large')
}

export function isRegular({ type }: Header): boolean {
  return type === 'file' || type === 'contiguous-file'
}

/** Returns whether an entry is a file under one of its names. */
function isFile(header: Header): boolean {
  return isRegular(header) || header.type === 'link'
}

/** Returns the path below /output; undefined for /output itself and for what does not go into the zip. */
function pathOf({ name }: Header, { leaveOut }: ZipRules): string | undefined {
  const path = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : ''
  return path === '' || isOwnFile(path) || leaveOut.has(path) ? undefined : path
}

function checkExact(path: string): void {
  if (path.split('/').length - 1 > MAX_FOLDERS) throw new JobFailure('The outputs are nested too deeply')
  if (path.includes(NOT_UTF8)) throw new JobFailure('The name of an output file is not UTF-8')
}

/** A zip's dates begin in 1980 and end in 2107. An exact zip has the nearest one. */
function factsOf({ mode = 0o644, mtime = new Date() }: Header, rules: ZipRules): FileFacts {
  const year = mtime.getUTCFullYear()
  const isDate = rules.format === 'exact' || (year > 1980 && year < 2107)
  return { mode: 0o100000 | (mode & 0o777), mtime: isDate ? mtime : new Date(), ...zipOptions(rules) }
}

/** Returns how a zip stores its files. A date outside of a zip's years would stay in the further timestamp. */
export function zipOptions({ format }: ZipRules): { compress: boolean; forceDosTimestamp: boolean } {
  return { compress: format === 'portable', forceDosTimestamp: format === 'exact' }
}
