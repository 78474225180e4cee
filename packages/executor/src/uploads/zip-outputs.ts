/** Zips what a job left in /output together with what it printed. */
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ZipFile } from 'yazl'
import { JobFailure } from '../job/job-failure.ts'
import { ByteLimit, ByteLimitError } from '../zip/byte-limit.ts'
import { addFiles, type FileLimits, type ZipRules, zipOptions } from './output-files.ts'
import { OWN_FILES, type OwnFile } from './output-names.ts'

const ZIP_NAME = 'output.zip'

export interface OutputLimits extends FileLimits {
  /** The largest zip, in bytes. */
  maxZipBytes: number
}

/** Where the texts lie that the job printed. */
export interface PrintedFiles {
  stdoutPath: string
  stderrPath: string
}

const PORTABLE: ZipRules = { format: 'portable', leaveOut: new Set() }

/**
 * Zips the regular files of a tar of /output and the two texts into a folder. Returns the path. Rejects with
 * JobFailure.
 */
export async function zipOutputs(
  openTar: () => Promise<Readable>,
  printed: PrintedFiles,
  folder: string,
  limits: OutputLimits,
  signal: AbortSignal,
  rules: ZipRules = PORTABLE,
): Promise<string> {
  const path = join(folder, ZIP_NAME)
  const zip = new ZipFile()
  // yazl reports a file that breaks off only by this event. Unhandled, it would end the process.
  zip.on('error', error => (zip.outputStream as Readable).destroy(error as Error))
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const written = pipeline(
    zip.outputStream as Readable,
    new ByteLimit(limits.maxZipBytes),
    createWriteStream(path, { mode: 0o600 }),
    { signal: either },
  )
  const filled = addFiles(zip, { openTar, folder }, limits, rules, either).then(() => {
    for (const name of OWN_FILES) {
      if (!rules.leaveOut.has(name)) zip.addFile(printedPath(printed, name), name, zipOptions(rules))
    }
    zip.end()
  })
  try {
    await Promise.all([written, filled])
    return path
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ByteLimitError) throw new JobFailure('The zip of the outputs is too large')
    throw error
  } finally {
    stop.abort()
    await Promise.allSettled([written, filled])
  }
}

/** Returns where a file with what the job printed lies. */
export function printedPath({ stdoutPath, stderrPath }: PrintedFiles, name: OwnFile): string {
  return name === 'stdout.txt' ? stdoutPath : stderrPath
}
