/** One HTTP request to a target that a job named, and the words for what may go wrong with it. */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { checkUrl, publicLookup, TargetError } from './targets.ts'

// An import of node:http loads Node's fetch and WebSocket with it: 19 ms that every job would wait for.
const { request: requestHttp } = process.getBuiltinModule('node:http')

/** What OpenSSL and Node have against certificates, as error codes. */
const CERTIFICATE_ERROR = /CERT|^UNABLE_TO_|^HOSTNAME_MISMATCH$|^INVALID_(CA|PURPOSE)$/

const USER_AGENT = 'compute-horde-executor'

interface RequestErrorOptions {
  retryable: boolean
  status?: number
  retryAfterMs?: number | undefined
  cause?: unknown
}

/** A request that came to nothing; its message never holds the URL, which may carry a signature. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  /** Whether the same request may succeed later. */
  readonly retryable: boolean
  /** What the server answered with, where it answered. */
  readonly status: number | undefined
  /** How long the server asks to be left alone, in ms. */
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
  /** Opened anew for each request; of `length` bytes. */
  body?: { open(): Readable; length: number }
  allowPrivate: boolean
  signal: AbortSignal
}

/**
 * The answer to a request, whatever its status; its body is still to be read or destroyed. Redirects are not followed.
 * Rejects with TargetError, RequestError, or the signal's reason.
 */
export async function openResponse(url: string, options: RequestOptions): Promise<IncomingMessage> {
  const { method, headers = {}, allowPrivate, signal } = options
  const target = checkUrl(url, allowPrivate)
  const request = (target.protocol === 'https:' ? requestHttps : requestHttp)(target, {
    method,
    headers: { 'User-Agent': USER_AGENT, ...headers },
    signal,
    // A connection of its own: a pooled one was opened under somebody else's rules.
    agent: false,
    ...(allowPrivate ? {} : { lookup: publicLookup }),
  })
  try {
    const response = responseTo(request)
    const sent = options.body ? send(options.body, request) : Promise.resolve(request.end())
    // A server that refuses may stop reading before it has the whole body: its answer is what counts. One that
    // accepts has to take the rest.
    sent.catch(() => {})
    const answer = await response
    if (isSuccess(answer)) await sent
    return answer
  } catch (error) {
    signal.throwIfAborted()
    throw requestError(error)
  }
}

/** Settles however the request ends: a connection that ends without a word is closed in silence. */
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

/** Rejects unless the whole body was handed to the connection. */
async function send({ open, length }: NonNullable<RequestOptions['body']>, request: ClientRequest): Promise<void> {
  let handed = 0
  const count = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      handed += chunk.length
      yield chunk
    }
  }
  await pipeline(open(), count, request).catch(error => {
    // A server that counts may answer, and close, before the end of the body has been told to it.
    if (handed < length) throw error
  })
}

export function isSuccess({ statusCode: status = 0 }: IncomingMessage): boolean {
  return status >= 200 && status < 300
}

export function requestError(error: unknown): Error {
  if (error instanceof TargetError || error instanceof RequestError) return error
  const { code, message } = error as NodeJS.ErrnoException
  if (code !== undefined && CERTIFICATE_ERROR.test(code)) {
    return new RequestError(`the server has no certificate to trust (${code})`, { retryable: false, cause: error })
  }
  return new RequestError(`the connection failed (${code ?? message})`, { retryable: true, cause: error })
}
