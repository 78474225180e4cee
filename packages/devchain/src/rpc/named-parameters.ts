import { CODES, RpcError } from './rpc-error.ts'

/** The names of each method's parameters in their order, as in Substrate. Other methods have no parameters. */
const NAMES: Record<string, readonly string[]> = {
  chain_getBlockHash: ['hash'],
  chain_getHead: ['hash'],
  chain_getHeader: ['hash'],
  chain_getBlock: ['hash'],
  state_call: ['name', 'bytes', 'hash'],
  state_callAt: ['name', 'bytes', 'hash'],
  state_getKeysPaged: ['prefix', 'count', 'start_key', 'hash'],
  state_getKeysPagedAt: ['prefix', 'count', 'start_key', 'hash'],
  state_getMetadata: ['hash'],
  state_getRuntimeVersion: ['hash'],
  chain_getRuntimeVersion: ['hash'],
  state_getStorage: ['key', 'hash'],
  state_getStorageAt: ['key', 'hash'],
  state_getStorageHash: ['key', 'hash'],
  state_getStorageHashAt: ['key', 'hash'],
  state_getStorageSize: ['key', 'hash'],
  state_getStorageSizeAt: ['key', 'hash'],
  state_queryStorageAt: ['keys', 'at'],
  state_subscribeStorage: ['keys'],
  author_submitExtrinsic: ['bytes'],
  author_submitAndWatchExtrinsic: ['bytes'],
  system_accountNextIndex: ['account'],
  account_nextIndex: ['account'],
  payment_queryInfo: ['encoded_xt', 'at'],
  payment_queryFeeDetails: ['encoded_xt', 'at'],
}

/**
 * The parameters of a request by position. A request may also name them, in snake case or camel case; those that it
 * leaves out before the last one are null. @throws RpcError for a name that the method does not have
 */
export function byPosition(method: string, params: unknown): unknown {
  if (typeof params !== 'object' || params === null || Array.isArray(params)) return params
  const names = NAMES[method] ?? []
  const given = new Map(Object.entries(params).map(([name, value]) => [snakeCase(name), value]))
  const unknown = [...given.keys()].filter(name => !names.includes(name))
  if (unknown.length > 0) throw new RpcError(CODES.params, 'Invalid params', `unknown: ${unknown.join(', ')}`)
  const last = names.findLastIndex(name => given.has(name))
  return names.slice(0, last + 1).map(name => given.get(name) ?? null)
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}
