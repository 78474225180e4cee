/** Sends one file to the target of an upload, and retries while the stage has time. */
import { createReadStream } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { UploadAnswer } from '@horde/protocol/job/uploads'
import { type FileForm, formBody } from '../http/multipart.ts'
import { isSuccess, openResponse, RequestError, requestError } from '../http/request.ts'
import { logRefusal } from '../http/response-text.ts'
import { type RetryDeps, statusError, withRetries } from '../http/retry.ts'
import { TargetError } from '../http/targets.ts'
import { JobFailure } from '../job/job-failure.ts'

/** The longest body of an answer, in bytes. */
const MAX_ANSWER_BYTES = 10 * 1024 * 1024

/** Headers that belong to the connection and not to the file: what a job says of them is dropped. */
const OUR_HEADERS = [
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** One request to make. */
export interface Sending {
  url: string
  /** On this disk. */
  path: string
  /** In bytes. */
  size: number
  /** For a PUT; absent or undefined: without one. */
  contentType?: string | undefined
  /** For a POST: the form around the file. */
  form?: Omit<FileForm, 'path' | 'size'>
  headers: Record<string, string>
  /** Whether to read the answer. Otherwise its status is enough, and the answer is empty. */
  readsAnswer: boolean
}

/** Returns what the target answered. Rejects with JobFailure. */
export async function sendUpload(
  sending: Sending,
  allowPrivate: boolean,
  deps: RetryDeps,
  signal: AbortSignal,
): Promise<UploadAnswer> {
  const { method, contentType, contentLength, open } = bodyOf(sending)
  const headers = {
    ...allowedHeaders(sending.headers),
    ...(contentType === undefined ? {} : { 'Content-Type': contentType }),
    'Content-Length': contentLength,
  }
  const body = { open, length: contentLength }
  try {
    return await withRetries('upload', deps, signal, async () => {
      const response = await openResponse(sending.url, { method, headers, body, allowPrivate, signal })
      try {
        if (isSuccess(response)) return sending.readsAnswer ? await answerOf(response, signal) : EMPTY
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

const EMPTY: UploadAnswer = { headers: {}, body: '' }

function bodyOf({ form, path, size, contentType }: Sending) {
  if (form) return { method: 'POST' as const, ...formBody({ ...form, path, size }) }
  return { method: 'PUT' as const, contentType, contentLength: size, open: () => createReadStream(path) }
}

/** Throws JobFailure for a header that cannot be sent. */
function allowedHeaders(headers: Record<string, string>): Record<string, string> {
  const allowed = Object.entries(headers).filter(([name]) => !OUR_HEADERS.includes(name.toLowerCase()))
  for (const [name, value] of allowed) {
    // What Node accepts: a token, and a line of Latin-1.
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw new JobFailure('A header of an upload is not valid')
    }
  }
  return Object.fromEntries(allowed)
}

/** Reads an answer. Rejects with RequestError when it is too long or breaks off. */
async function answerOf(response: IncomingMessage, signal: AbortSignal): Promise<UploadAnswer> {
  const chunks: Buffer[] = []
  let bytes = 0
  const refuse = () => {
    throw new RequestError(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`, { retryable: false })
  }
  if (Number(response.headers['content-length'] ?? 0) > MAX_ANSWER_BYTES) refuse()
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > MAX_ANSWER_BYTES) refuse()
      chunks.push(chunk)
    }
  } catch (error) {
    signal.throwIfAborted()
    throw requestError(error)
  }
  const headers = Object.entries(response.headers).map(([name, value]) => [name, [value ?? ''].flat().join(', ')])
  return { headers: Object.fromEntries(headers), body: Buffer.concat(chunks).toString() }
}
