/** What a job leaves in /output, with what it printed, as one zip at the place that the job names. */
import { createReadStream, createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import type { OutputUpload } from '@horde/protocol/job'
import { extract, type Header } from 'tar-stream'
import { ZipFile } from 'yazl'
import { formBody } from './http/multipart.ts'
import { isSuccess, openResponse, RequestError, withRetries } from './http/request.ts'
import { TargetError } from './http/targets.ts'
import { JobFailure } from './job-failure.ts'
import { ByteLimit, ByteLimitError } from './zip/byte-limit.ts'

const UPLOAD_TRIES = 3
const UPLOAD_PAUSE_MS = 1_000
const ZIP_NAME = 'output.zip'
const ZIP_TYPE = 'application/zip'
const PREFIX = 'output/'
/** What makes a name absolute to Windows programs. */
const DRIVE = /^([a-z]):/i

export interface OutputLimits {
  /** Of the zip, in bytes. */
  maxZipBytes: number
  /** Of the files together, before they are zipped, in bytes. */
  maxBytes: number
  maxFiles: number
}

export interface PrintedFiles {
  stdoutPath: string
  stderrPath: string
}

/**
 * Zips the regular files of a tar of /output, and the two texts, into a folder. Links are not followed, special files not
 * opened: the tar only tells of them, and they are left out. Gives the zip's path; rejects with JobFailure.
 */
export async function zipOutputs(
  tar: Readable,
  printed: PrintedFiles,
  folder: string,
  limits: OutputLimits,
  signal: AbortSignal,
): Promise<string> {
  const path = join(folder, ZIP_NAME)
  const zip = new ZipFile()
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const written = pipeline(
    zip.outputStream as Readable,
    new ByteLimit(limits.maxZipBytes),
    createWriteStream(path, { mode: 0o600 }),
    { signal: either },
  )
  const filled = addFiles(zip, tar, limits, either).then(() => {
    zip.addFile(printed.stdoutPath, 'stdout.txt')
    zip.addFile(printed.stderrPath, 'stderr.txt')
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
    tar.destroy()
    await Promise.allSettled([written, filled])
  }
}

async function addFiles(zip: ZipFile, tar: Readable, limits: OutputLimits, signal: AbortSignal): Promise<void> {
  const entries = extract()
  const read = pipeline(tar, entries as unknown as NodeJS.WritableStream, { signal })
  read.catch(error => entries.destroy(error as Error))
  let files = 0
  let bytes = 0
  for await (const entry of entries) {
    const name = outputName(entry.header)
    if (name === undefined) {
      entry.resume()
      continue
    }
    files += 1
    bytes += entry.header.size ?? 0
    if (files > limits.maxFiles) throw new JobFailure('There are too many output files')
    if (bytes > limits.maxBytes) throw new JobFailure('The outputs are too large')
    const contents = Readable.from(entry, { objectMode: false })
    zip.addReadStream(contents, name, {
      mode: 0o100000 | ((entry.header.mode ?? 0o644) & 0o777),
      mtime: mtimeOf(entry.header),
    })
    await finished(contents, { signal, writable: false })
  }
  await read
}

/** The name of a regular file beneath /output; undefined for anything else and for the names that are ours. */
function outputName({ name, type }: Header): string | undefined {
  if ((type !== 'file' && type !== 'contiguous-file') || !name.startsWith(PREFIX)) return undefined
  const inside = name.slice(PREFIX.length).replaceAll('\\', '_').replace(DRIVE, '$1_')
  return inside === '' || inside === 'stdout.txt' || inside === 'stderr.txt' ? undefined : inside
}

/** A zip's dates begin in 1980 and end in 2107. */
function mtimeOf({ mtime }: Header): Date {
  const year = mtime?.getUTCFullYear() ?? 0
  return mtime && year > 1980 && year < 2107 ? mtime : new Date()
}

/** Uploads a zip as the job asks. Rejects with JobFailure. */
export async function uploadZip(
  path: string,
  upload: OutputUpload,
  allowPrivate: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { size } = await stat(path)
  const { method, contentType, contentLength, open } =
    upload.output_upload_type === 'zip_and_http_post'
      ? { method: 'POST' as const, ...postForm(path, size, upload.form_fields ?? {}) }
      : { method: 'PUT' as const, contentType: ZIP_TYPE, contentLength: size, open: () => createReadStream(path) }
  const headers = { 'Content-Type': contentType, 'Content-Length': contentLength }
  try {
    await withRetries(UPLOAD_TRIES, UPLOAD_PAUSE_MS, signal, async () => {
      const response = await openResponse(upload.url, { method, headers, body: open, allowPrivate, signal })
      response.destroy()
      if (isSuccess(response)) return
      const { statusCode: status = 0 } = response
      throw new RequestError(`the server answered with status ${status}`, { retryable: status >= 500 })
    })
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof TargetError) throw new JobFailure(`Output URL refused: ${error.message}`)
    if (error instanceof RequestError) throw new JobFailure(`Output could not be uploaded: ${error.message}`)
    throw error
  }
}

function postForm(path: string, size: number, fields: Record<string, string>) {
  return formBody({ fields, fileField: 'file', fileName: ZIP_NAME, fileType: ZIP_TYPE, path, size })
}
