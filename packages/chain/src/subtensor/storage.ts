import type { ApiPromise } from '@polkadot/api'
import type { StorageEntry } from '@polkadot/types/primitive/types'
import type { Codec } from '@polkadot/types/types'
import { ChainError } from '../errors.ts'
import { encodeAddress, hexToU8a } from '../polkadot/crypto.ts'
import { SS58_PREFIX } from '../wallet/keyfile.ts'
import type { NodeConnection } from './connection.ts'
import { RpcError } from './rpc.ts'

/** Keys per request; nodes refuse requests that are much larger. */
const KEYS_PER_REQUEST = 1_000

/** One value to read: a pallet's storage item, and the keys into its map. */
export type Read = { readonly entry: StorageEntry; readonly args: readonly unknown[] }

/** Returns a pallet's storage item, or undefined if this chain has no such item. Names are camelCase. */
export function findEntry(api: ApiPromise, pallet: string, item: string): StorageEntry | undefined {
  return api.query[pallet]?.[item]?.creator
}

/**
 * Returns a pallet's storage item. Names are camelCase.
 * @throws ChainError Unsupported when this chain has no such item
 */
export function entryOf(api: ApiPromise, pallet: string, item: string): StorageEntry {
  const entry = findEntry(api, pallet, item)
  if (!entry) throw new ChainError('Unsupported', `the storage item ${pallet}.${item} is missing`)
  return entry
}

/**
 * Reads storage items at one block, 1,000 per request, and decodes them by the chain's metadata. For an unset item it
 * returns the metadata's default, or null if the item is optional.
 * @throws ChainError BadAnswer when the node leaves out an item
 */
export async function readStorage(
  node: NodeConnection,
  at: string,
  reads: readonly Read[],
): Promise<Array<Codec | null>> {
  const keys = reads.map(({ entry, args }) => node.api.registry.createType('StorageKey', [entry, args]))
  const values = new Map<string, string | null>()
  for (let from = 0; from < keys.length; from += KEYS_PER_REQUEST) {
    const some = keys.slice(from, from + KEYS_PER_REQUEST).map(key => key.toHex())
    const sets = await node.rpc.send<Array<{ changes: Array<[string, string | null]> }>>('state_queryStorageAt', [
      some,
      at,
    ])
    for (const { changes } of sets) for (const [key, value] of changes) values.set(key, value)
  }
  return keys.map((key, i) => {
    const entry = reads[i]?.entry
    const set = values.get(key.toHex())
    // For an unset item a node answers null. It never leaves the item out.
    if (set === undefined) throw new ChainError('BadAnswer', 'the answer lacks a requested storage item')
    const value = set ?? (entry?.meta.modifier.isOptional ? null : entry?.meta.fallback.toHex())
    return value ? node.api.registry.createTypeUnsafe<Codec>(key.outputType, [hexToU8a(value)]) : null
  })
}

/**
 * Runs a read of an older block's state. Returns undefined when the node has pruned that state; rethrows other errors.
 */
export async function unlessPruned<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof RpcError && error.mayBePruned) return undefined
    throw error
  }
}

/** Decodes a count. Counts above 2⁵³−1 become 2⁵³−1. */
export const countOf = (value: Codec | null | undefined): number =>
  Math.min(Number(value?.toString() ?? 0), Number.MAX_SAFE_INTEGER)

/** Decodes a number of any size; 0 for null. */
export const bigintOf = (value: Codec | null | undefined): bigint => BigInt(value?.toString() ?? 0)

/** Decodes a bool; false for null. */
export const boolOf = (value: Codec | null | undefined): boolean => value?.toString() === 'true'

/** Returns the elements of a Vec or tuple; none for null. */
export const listOf = (value: Codec | null | undefined): Codec[] =>
  value ? [...(value as unknown as Iterable<Codec>)] : []

/** Encodes an account as an address with Bittensor's prefix 42, whatever prefix the chain's properties claim. */
export const accountOf = (value: Codec | null | undefined): string =>
  encodeAddress(value ? value.toU8a() : new Uint8Array(32), SS58_PREFIX)

/** Returns a field of a struct, by its name in camelCase. */
export const fieldOf = (value: Codec, name: string): Codec | undefined =>
  (value as unknown as Record<string, Codec>)[name]
