/** Zips what a job left in /output together with what it printed, and uploads the zip where the job says. */
import { createReadStream, createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { OutputUpload } from '@horde/protocol/job'
import { ZipFile } from 'yazl'
import { formBody } from '../http/multipart.ts'
import { isSuccess, openResponse, RequestError } from '../http/request.ts'
import { logRefusal } from '../http/response-text.ts'
import { type RetryDeps, statusError, withRetries } from '../http/retry.ts'
import { TargetError } from '../http/targets.ts'
import { ByteLimit, ByteLimitError } from '../zip/byte-limit.ts'
import { addFiles, type FileLimits } from '../zip/output-files.ts'
import { JobFailure } from './job-failure.ts'

const ZIP_NAME = 'output.zip'
const ZIP_TYPE = 'application/zip'

export interface OutputLimits extends FileLimits {
  /** The largest zip, in bytes. */
  maxZipBytes: number
}

export interface PrintedFiles {
  stdoutPath: string
  stderrPath: string
}

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
  const filled = addFiles(zip, { openTar, folder }, limits, either).then(() => {
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
    await Promise.allSettled([written, filled])
  }
}

/** Uploads a zip as the job asks, and retries while the stage has time. Rejects with JobFailure. */
export async function uploadZip(
  path: string,
  upload: OutputUpload,
  allowPrivate: boolean,
  deps: RetryDeps,
  signal: AbortSignal,
): Promise<void> {
  const { size } = await stat(path)
  const { method, contentType, contentLength, open } =
    upload.output_upload_type === 'zip_and_http_post'
      ? { method: 'POST' as const, ...postForm(path, size, upload.form_fields ?? {}) }
      : { method: 'PUT' as const, contentType: ZIP_TYPE, contentLength: size, open: () => createReadStream(path) }
  const headers = { 'Content-Type': contentType, 'Content-Length': contentLength }
  const body = { open, length: contentLength }
  try {
    await withRetries('upload', deps, signal, async () => {
      const response = await openResponse(upload.url, { method, headers, body, allowPrivate, signal })
      try {
        if (isSuccess(response)) return
        await logRefusal(response, deps.log, signal)
        const isRedirect = Math.floor((response.statusCode ?? 0) / 100) === 3
        throw statusError(response, deps.clock.now(), isRedirect ? ', and uploads follow no redirects' : '')
      } finally {
        response.destroy()
      }
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
