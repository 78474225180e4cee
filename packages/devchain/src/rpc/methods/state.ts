import { z } from 'zod'
import { blake2AsU8a } from '../../crypto.ts'
import { type Hex, toHex } from '../../scale/bytes.ts'
import type { Reader } from '../../state/state.ts'
import { versionJson } from '../json.ts'
import {
  binary,
  blockHash,
  hex,
  list,
  type Method,
  method,
  type Node,
  nothing,
  optional,
  positional,
  readerAt,
  subscription,
} from '../method.ts'
import { MAX_ANSWER_LENGTH, tooBig } from '../rpc-error.ts'
import { callRuntime } from './runtime-apis.ts'

/** The most keys of one page, and of one query or subscription. */
const MAX_PAGE = 1000
const MAX_KEYS = 16_384

const oneAt = <T extends z.ZodType>(first: T) => z.union([z.tuple([first]), positional(first, optional(blockHash))])
const at = z.union([z.tuple([]), positional(optional(blockHash))])
const keys = list(hex, MAX_KEYS)

function read(reader: Reader, key: Hex): Hex | null {
  const value = reader.get(key)
  return value ? toHex(value) : null
}

/** Returns keys with their values. @throws RpcError when they exceed the size of an answer */
function readAll(reader: Reader, names: Iterable<Hex>): [Hex, Hex | null][] {
  let length = 0
  return Array.from(names, name => {
    const value = read(reader, name)
    length += name.length + (value?.length ?? 0)
    if (length > MAX_ANSWER_LENGTH) throw tooBig()
    return [name, value]
  })
}

const getKeysPaged = method(
  z.tuple([optional(hex), z.int().min(0), optional(hex).optional(), optional(blockHash).optional()]),
  (node, [prefix, count, start, hash]) => {
    if (count > MAX_PAGE) throw new RangeError(`count exceeds the limit of ${MAX_PAGE}`)
    const all = readerAt(node, hash).keys(prefix ?? '0x')
    const from = start ? all.findIndex(key => key > start) : 0
    return from < 0 ? [] : all.slice(from, from + count)
  },
)

const queryStorageAt = method(oneAt(keys), (node, [wanted, hash]) => {
  const reader = readerAt(node, hash)
  return [{ block: hash ?? node.chain.head.hash, changes: readAll(reader, wanted) }]
})

const subscribeStorage = subscription(positional(keys), (node, [wanted], subscriber) =>
  subscriber.subscribe('state_storage', send => {
    const sendValues = (names: Iterable<Hex>) => {
      const reader = readerAt(node, null)
      send({ block: node.chain.head.hash, changes: readAll(reader, names) })
    }
    sendValues(wanted)
    return node.chain.onBlock(({ changed }) => {
      const changedKeys = new Set(wanted.filter(key => changed.has(key)))
      if (changedKeys.size > 0) sendValues(changedKeys)
    })
  }),
)

const subscribeRuntimeVersion = subscription(nothing, (_node, _params, subscriber) =>
  // The runtime never changes while the chain runs, so one message is all.
  subscriber.subscribe('state_runtimeVersion', send => {
    send(versionJson)
    return () => {}
  }),
)

const getStorage = method(oneAt(hex), (node, [key, hash]) => read(readerAt(node, hash), key))

const getStorageHash = method(oneAt(hex), (node, [key, hash]) => {
  const value = readerAt(node, hash).get(key)
  return value ? toHex(blake2AsU8a(value, 256)) : null
})

const getStorageSize = method(oneAt(hex), (node, [key, hash]) => readerAt(node, hash).get(key)?.length ?? null)

const getMetadata = method(at, ({ metadata }: Node) => toHex(metadata))
const getRuntimeVersion = method(at, () => versionJson)

const call = method(z.tuple([z.string(), binary, optional(blockHash).optional()]), (node, [name, input, hash]) =>
  toHex(callRuntime(node, name, input, hash ?? node.chain.head.hash)),
)

export const stateMethods: Record<string, Method> = {
  state_getMetadata: getMetadata,
  state_getRuntimeVersion: getRuntimeVersion,
  chain_getRuntimeVersion: getRuntimeVersion,
  state_subscribeRuntimeVersion: subscribeRuntimeVersion,
  chain_subscribeRuntimeVersion: subscribeRuntimeVersion,
  state_getStorage: getStorage,
  state_getStorageAt: getStorage,
  state_getStorageHash: getStorageHash,
  state_getStorageHashAt: getStorageHash,
  state_getStorageSize: getStorageSize,
  state_getStorageSizeAt: getStorageSize,
  state_getKeysPaged: getKeysPaged,
  state_getKeysPagedAt: getKeysPaged,
  state_queryStorageAt: queryStorageAt,
  state_subscribeStorage: subscribeStorage,
  state_call: call,
  state_callAt: call,
}
