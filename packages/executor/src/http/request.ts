/** Sends one HTTP request to a target that a job named, and describes what went wrong. */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { checkUrl, publicLookup, TargetError } from './targets.ts'

// An import of node:http also loads Node's fetch and WebSocket: 19 ms for which every job would wait.
const { request: requestHttp } = process.getBuiltinModule('node:http')

/** The error codes of OpenSSL and Node for bad certificates. */
const CERTIFICATE_ERROR = /CERT|^UNABLE_TO_|^HOSTNAME_MISMATCH$|^INVALID_(CA|PURPOSE)$/

const USER_AGENT = 'compute-horde-executor'

interface RequestErrorOptions {
  retryable: boolean
  status?: number
  retryAfterMs?: number | undefined
  cause?: unknown
}

/** A request that failed. Its message never holds the URL, which may contain a signature. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  /** Whether the same request may succeed later. */
  readonly retryable: boolean
  /** The status of the server's answer; undefined when it did not answer. */
  readonly status: number | undefined
  /** How long the server asks clients to wait, in ms. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, options: RequestErrorOptions) {
    super(message, { cause: options.cause })
    this.retryable = options.retryable
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
  }
}

export interface RequestOptions {
  method: 'GET' | 'PUT' | 'POST'
  headers?: Record<string, string | number>
  /** Opened for each request; of `length` bytes. */
  body?: { open(): Readable; length: number }
  allowPrivate: boolean
  signal: AbortSignal
}

/**
 * Returns the answer to a request, whatever its status. The caller must read or destroy its body. It does not follow
 * redirects. Rejects with TargetError, RequestError, or the signal's reason.
 */
export async function openResponse(url: string, options: RequestOptions): Promise<IncomingMessage> {
  const { method, headers = {}, allowPrivate, signal } = options
  const target = checkUrl(url, allowPrivate)
  const request = (target.protocol === 'https:' ? requestHttps : requestHttp)(target, {
    method,
    headers: { 'User-Agent': USER_AGENT, ...headers },
    signal,
    // A connection of its own: a pooled one may have been opened under other rules.
    agent: false,
    ...(allowPrivate ? {} : { lookup: publicLookup }),
  })
  try {
    const response = responseTo(request)
    const sent = options.body ? send(options.body, request) : Promise.resolve(request.end())
    // A server that refuses may stop reading before it has the whole body, and its answer counts. A server that
    // accepts must take the rest.
    sent.catch(() => {})
    const answer = await response
    if (isSuccess(answer)) await sent
    return answer
  } catch (error) {
    signal.throwIfAborted()
    throw requestError(error)
  }
}

/** Settles however the request ends: a connection that closes without an answer emits neither response nor error. */
function responseTo(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve).once('error', reject)
    request.once('upgrade', ({ statusCode }, socket) => {
      socket.destroy()
      reject(new RequestError(`the server answered with status ${statusCode}`, { retryable: false }))
    })
    request.once('close', () => reject(new Error('closed')))
  })
}

/** Sends the body. Rejects unless the whole body was written to the connection. */
async function send({ open, length }: NonNullable<RequestOptions['body']>, request: ClientRequest): Promise<void> {
  let written = 0
  const count = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      written += chunk.length
      yield chunk
    }
  }
  await pipeline(open(), count, request).catch(error => {
    // A server that counts bytes may answer and close before the body's end reaches it.
    if (written < length) throw error
  })
}

/** Whether the status of an answer is 2xx. */
export function isSuccess({ statusCode: status = 0 }: IncomingMessage): boolean {
  return status >= 200 && status < 300
}

/** Returns the error of a request for whatever the connection threw. */
export function requestError(error: unknown): Error {
  if (error instanceof TargetError || error instanceof RequestError) return error
  const { code, message } = error as NodeJS.ErrnoException
  if (code !== undefined && CERTIFICATE_ERROR.test(code)) {
    return new RequestError(`the server's certificate is not valid (${code})`, { retryable: false, cause: error })
  }
  return new RequestError(`the connection failed (${code ?? message})`, { retryable: true, cause: error })
}
