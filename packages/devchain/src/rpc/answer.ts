import type { Log } from '@horde/kit/log'
import { ScaleError } from '../scale/bytes.ts'
import type { Node, Subscriber } from './method.ts'
import { METHODS } from './methods/all.ts'
import { CODES, RpcError } from './rpc-error.ts'

type Id = string | number | null

export interface Answerer {
  node: Node
  log: Log
}

/** Requests in one batch. */
const MAX_BATCH = 1000

/**
 * Answers a JSON-RPC text, one request or a batch; undefined when nothing is to be said (notifications). Never throws.
 */
export function answer(text: string, answerer: Answerer, subscriber?: Subscriber): string | undefined {
  let request: unknown
  try {
    request = JSON.parse(text)
  } catch {
    return JSON.stringify(failure(null, new RpcError(CODES.parse, 'Parse error')))
  }
  if (!Array.isArray(request)) {
    const one = answerOne(request, answerer, subscriber)
    return one && JSON.stringify(one)
  }
  if (request.length === 0 || request.length > MAX_BATCH) {
    return JSON.stringify(failure(null, new RpcError(CODES.request, 'Invalid request')))
  }
  const all = request.map(one => answerOne(one, answerer, subscriber)).filter(one => one !== undefined)
  return all.length > 0 ? JSON.stringify(all) : undefined
}

function answerOne(request: unknown, answerer: Answerer, subscriber: Subscriber | undefined) {
  const { id, method, params } = (typeof request === 'object' && request !== null ? request : {}) as Record<
    string,
    unknown
  >
  if (!isId(id) && id !== undefined) return failure(null, new RpcError(CODES.request, 'Invalid request'))
  if (typeof method !== 'string') return failure(id ?? null, new RpcError(CODES.request, 'Invalid request'))
  try {
    const result = run(method, params ?? [], answerer, subscriber)
    return id === undefined ? undefined : { jsonrpc: '2.0', id, result: result ?? null }
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
  const checked = method.params.safeParse(params)
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

function failure(id: Id, { code, message, data }: RpcError) {
  return { jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } }
}
