/** Copies single files of /output to this disk, so that all of them are known before the first one is uploaded. */
import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { JobFailure } from '../job/job-failure.ts'
import { entriesOf, isRegular, type OutputSource, opened, PREFIX, withErrorsIgnored } from './output-files.ts'
import { isOwnFile } from './output-names.ts'
import { type PrintedFiles, printedPath } from './zip-outputs.ts'

/** A file on this disk. */
export interface SpooledFile {
  path: string
  /** In bytes. */
  size: number
}

/**
 * Returns the files with these paths below /output. The tar of /output lists a file under a path only if all folders
 * above it are real, so no symbolic link is followed. Rejects with JobFailure when a path is missing, is no regular
 * file, or is too large.
 */
export async function spoolFiles(
  paths: readonly string[],
  source: OutputSource,
  printed: PrintedFiles,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Map<string, SpooledFile>> {
  const ofJob = new Set(paths.filter(path => !isOwnFile(path)))
  const found = ofJob.size === 0 ? new Map<string, SpooledFile>() : await spool(ofJob, source, maxBytes, signal)
  for (const path of paths) {
    if (isOwnFile(path)) found.set(path, await measured(printedPath(printed, path)))
    const file = found.get(path)
    if (file === undefined) throw new JobFailure('A file to be uploaded is missing or not a regular file', path)
    if (file.size > maxBytes) throw new JobFailure('A file to be uploaded is too large', path)
  }
  return found
}

/** Reads the tar once; twice when a wanted file is a further name of one that is not wanted itself. */
async function spool(
  wanted: ReadonlySet<string>,
  source: OutputSource,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Map<string, SpooledFile>> {
  const found = new Map<string, SpooledFile>()
  const links = new Map<string, string>()
  const targets = () => new Set([...links.values()].filter(target => !found.has(target)))
  await read(wanted, links)
  if (targets().size > 0) await read(targets(), new Map())
  for (const [path, target] of links) {
    const file = found.get(target)
    if (file) found.set(path, file)
  }
  return found

  async function read(names: ReadonlySet<string>, linked: Map<string, string>): Promise<void> {
    for await (const entry of entriesOf(await opened(source, signal), signal)) {
      const { header } = entry
      const path = header.name.slice(PREFIX.length)
      if (!names.has(path) || found.has(path)) {
        entry.resume()
      } else if (isRegular(header)) {
        const size = header.size ?? 0
        if (size > maxBytes) throw new JobFailure('A file to be uploaded is too large', path)
        const file = join(source.folder, `upload-${found.size}`)
        await pipeline(withErrorsIgnored(Readable.from(entry)), createWriteStream(file, { mode: 0o600 }), { signal })
        found.set(path, { path: file, size })
      } else {
        const { linkname = '' } = header as { linkname?: string }
        if (header.type === 'link') linked.set(path, linkname.slice(PREFIX.length))
        entry.resume()
      }
    }
  }
}

async function measured(path: string): Promise<SpooledFile> {
  return { path, size: (await stat(path)).size }
}
