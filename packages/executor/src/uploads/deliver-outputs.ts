/** Makes the uploads that a job asks for. All files are copied and the zip is made before the first request. */
import { stat } from 'node:fs/promises'
import { basename } from 'node:path/posix'
import type { Readable } from 'node:stream'
import type { FileUpload, UploadAnswer, Uploads, ZipUpload } from '@horde/protocol/job/uploads'
import type { RetryDeps } from '../http/retry.ts'
import { JobFailure } from '../job/job-failure.ts'
import { contentTypeOf } from './content-type.ts'
import { type Sending, sendUpload } from './send-upload.ts'
import { type SpooledFile, spoolFiles } from './spool-files.ts'
import { type OutputLimits, type PrintedFiles, zipOutputs } from './zip-outputs.ts'

/** How many uploads of a job run at once. */
const AT_ONCE = 3

/** The most that all answers take in the frame for the miner, which holds them as JSON within JSON, in bytes. */
const MAX_ANSWERS_BYTES = 20 * 1024 * 1024

const ZIP_TYPE = 'application/zip'

export interface Outputs {
  /** Opens a tar of /output; a second call returns the same contents. */
  openTar(): Promise<Readable>
  printed: PrintedFiles
  /** A folder for temporary files. */
  folder: string
}

export interface DeliveryLimits extends OutputLimits {
  allowPrivate: boolean
}

/**
 * Returns the answers of the targets, by the paths of the files and the name of the zip. The first upload that fails
 * stops the others; what has arrived stays. Rejects with JobFailure.
 */
export async function deliverOutputs(
  { files, zip }: Uploads,
  outputs: Outputs,
  limits: DeliveryLimits,
  deps: RetryDeps,
  signal: AbortSignal,
): Promise<Record<string, UploadAnswer>> {
  const { openTar, printed, folder } = outputs
  const paths = files.map(({ path }) => path)
  const spooled = await spoolFiles(paths, { openTar, folder }, printed, limits.maxZipBytes, signal)
  const sendings: [string, Sending][] = files.map(file => [file.path, fileSending(file, spooled)])
  if (zip) {
    const rules = { format: zip.format, leaveOut: new Set(paths) }
    const path = await zipOutputs(openTar, printed, folder, limits, signal, rules)
    sendings.push([zip.name, zipSending(zip, path, (await stat(path)).size)])
  }
  return sendAll(sendings, limits.allowPrivate, deps, signal)
}

function fileSending(upload: FileUpload, spooled: ReadonlyMap<string, SpooledFile>): Sending {
  const { url, headers } = upload
  const file = spooled.get(upload.path)
  if (!file) throw new Error('an upload has no file')
  const sending = { url, headers, ...file, readsAnswer: true }
  if (upload.method === 'PUT') return sending
  const fileName = basename(upload.path)
  const form = { fields: upload.formFields, fileField: 'file', fileName, fileType: contentTypeOf(fileName) }
  return { ...sending, form }
}

/** @param size of the zip at `path`, in bytes */
export function zipSending(upload: ZipUpload, path: string, size: number): Sending {
  const isPortable = upload.format === 'portable'
  const sending = { url: upload.url, headers: {}, path, size, readsAnswer: !isPortable }
  if (upload.method === 'PUT') return { ...sending, contentType: isPortable ? ZIP_TYPE : undefined }
  const form = { fields: upload.formFields, fileField: 'file', fileName: 'output.zip', fileType: ZIP_TYPE }
  return { ...sending, form }
}

async function sendAll(
  sendings: readonly [string, Sending][],
  allowPrivate: boolean,
  deps: RetryDeps,
  signal: AbortSignal,
): Promise<Record<string, UploadAnswer>> {
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const answers = new Map<string, UploadAnswer>()
  const waiting = [...sendings]
  let bytes = 0
  const send = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const answer = await sendUpload(next[1], allowPrivate, deps, either)
      bytes += Buffer.byteLength(JSON.stringify({ [next[0]]: JSON.stringify(answer) }))
      if (bytes > MAX_ANSWERS_BYTES) throw new JobFailure('The answers to the uploads are too large together')
      answers.set(next[0], answer)
    }
  }
  const senders = Array.from({ length: Math.min(AT_ONCE, sendings.length) }, () => send())
  try {
    await Promise.all(senders)
    return Object.fromEntries(answers)
  } finally {
    stop.abort()
    await Promise.allSettled(senders)
  }
}
