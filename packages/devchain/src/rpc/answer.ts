import type { Log } from '@horde/kit/log'
import { ScaleError } from '../scale/bytes.ts'
import type { Node, Subscriber } from './method.ts'
import { METHODS } from './methods/all.ts'
import { byPosition } from './named-parameters.ts'
import { CODES, MAX_ANSWER_LENGTH, RpcError, tooBig } from './rpc-error.ts'

type Id = string | number | null

export interface Answerer {
  node: Node
  log: Log
}

/** The most requests in one batch. */
const MAX_BATCH = 1000

/**
 * Answers a JSON-RPC text, which is one request or a batch. Returns undefined for notifications. Never throws.
 */
export function answer(text: string, answerer: Answerer, subscriber?: Subscriber): string | undefined {
  let request: unknown
  try {
    request = JSON.parse(text)
  } catch {
    return failure(null, new RpcError(CODES.parse, 'Parse error'))
  }
  if (!Array.isArray(request)) return answerOne(request, answerer, subscriber)
  if (request.length === 0 || request.length > MAX_BATCH) {
    return failure(null, new RpcError(CODES.request, 'Invalid request'))
  }
  return answerAll(request, answerer, subscriber)
}

function answerAll(requests: unknown[], answerer: Answerer, subscriber: Subscriber | undefined): string | undefined {
  const all: string[] = []
  let length = 0
  for (const request of requests) {
    const one = answerOne(request, answerer, subscriber)
    if (one === undefined) continue
    length += one.length
    if (length > MAX_ANSWER_LENGTH) return failure(null, tooBig())
    all.push(one)
  }
  return all.length > 0 ? `[${all.join()}]` : undefined
}

function answerOne(request: unknown, answerer: Answerer, subscriber: Subscriber | undefined): string | undefined {
  const { id, method, params } = (typeof request === 'object' && request !== null ? request : {}) as Record<
    string,
    unknown
  >
  if (!isId(id) && id !== undefined) return failure(null, new RpcError(CODES.request, 'Invalid request'))
  if (typeof method !== 'string') return failure(id ?? null, new RpcError(CODES.request, 'Invalid request'))
  try {
    const result = run(method, params ?? [], answerer, subscriber)
    return id === undefined ? undefined : success(id, result)
  } catch (error) {
    return id === undefined ? undefined : failure(id, toRpcError(error, method, answerer.log))
  }
}

function isId(id: unknown): id is Id {
  return id === null || typeof id === 'string' || typeof id === 'number'
}

function run(name: string, params: unknown, { node }: Answerer, subscriber: Subscriber | undefined): unknown {
  const method = METHODS.get(name)
  if (!method) throw new RpcError(CODES.method, 'Method not found')
  if (method.subscription && !subscriber) throw new RpcError(CODES.method, 'Subscriptions need a WebSocket')
  const checked = method.params.safeParse(byPosition(name, params))
  if (!checked.success) {
    const issues = checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
    throw new RpcError(CODES.params, 'Invalid params', issues.join('; '))
  }
  return method.call(node, checked.data as never, subscriber)
}

function toRpcError(error: unknown, method: string, log: Log): RpcError {
  if (error instanceof RpcError) return error
  if (error instanceof ScaleError || error instanceof RangeError) {
    return new RpcError(CODES.params, 'Invalid params', error.message)
  }
  log.error({ err: error, method }, 'a method failed')
  return new RpcError(CODES.internal, 'Internal error')
}

function success(id: Id, result: unknown): string {
  const text = JSON.stringify({ jsonrpc: '2.0', id, result: result ?? null })
  if (text.length > MAX_ANSWER_LENGTH) throw tooBig()
  return text
}

function failure(id: Id, { code, message, data }: RpcError): string {
  return JSON.stringify({ jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } })
}
