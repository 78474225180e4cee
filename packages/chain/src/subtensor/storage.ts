import type { ApiPromise } from '@polkadot/api'
import type { StorageEntry } from '@polkadot/types/primitive/types'
import type { Codec } from '@polkadot/types/types'
import { ChainError } from '../errors.ts'
import { SS58_PREFIX } from '../keyfile.ts'
import { encodeAddress, hexToU8a } from '../polkadot/crypto.ts'
import { hashOf } from './answers.ts'
import type { Live } from './connection.ts'

/** Keys asked for in one request; nodes refuse much larger ones. */
const KEYS_PER_REQUEST = 1_000

/** An item of a pallet and the arguments of its map. */
export type Read = { readonly entry: StorageEntry; readonly args: readonly unknown[] }

/** The storage item of a pallet, if this chain has it. Names as the metadata has them, in camelCase. */
export function findEntry(api: ApiPromise, pallet: string, item: string): StorageEntry | undefined {
  return api.query[pallet]?.[item]?.creator
}

/** @throws ChainError Unsupported when this chain has no such item */
export function entryOf(api: ApiPromise, pallet: string, item: string): StorageEntry {
  const entry = findEntry(api, pallet, item)
  if (!entry) throw new ChainError('Unsupported', `the storage item ${pallet}.${item} is missing`)
  return entry
}

/** The hash of the best block: reads that belong together are made at the same one. */
export const bestBlockHash = async ({ rpc }: Live): Promise<string> => hashOf(await rpc.send('chain_getBlockHash', []))

/**
 * Reads items as of one block, 1,000 a request, decoded by the chain's metadata. What is not set comes back as the
 * metadata's default, or null where the item is optional.
 */
export async function readStorage(live: Live, at: string, reads: readonly Read[]): Promise<Array<Codec | null>> {
  const keys = reads.map(({ entry, args }) => live.api.registry.createType('StorageKey', [entry, args]))
  const values = new Map<string, string | null>()
  for (let from = 0; from < keys.length; from += KEYS_PER_REQUEST) {
    const some = keys.slice(from, from + KEYS_PER_REQUEST).map(key => key.toHex())
    const sets = await live.rpc.send<Array<{ changes: Array<[string, string | null]> }>>('state_queryStorageAt', [
      some,
      at,
    ])
    for (const { changes } of sets) for (const [key, value] of changes) values.set(key, value)
  }
  return keys.map((key, i) => {
    const entry = reads[i]?.entry
    const set = values.get(key.toHex())
    // Left out is not the same as unset: a node says null for what is not there.
    if (set === undefined) throw new ChainError('BadAnswer', 'storage that was asked for is missing')
    const value = set ?? (entry?.meta.modifier.isOptional ? null : entry?.meta.fallback.toHex())
    return value ? live.api.registry.createTypeUnsafe<Codec>(key.outputType, [hexToU8a(value)]) : null
  })
}

/** A count; those beyond 2⁵³−1 are as good as endless. */
export const countOf = (value: Codec | null | undefined): number =>
  Math.min(Number(value?.toString() ?? 0), Number.MAX_SAFE_INTEGER)

export const bigintOf = (value: Codec | null | undefined): bigint => BigInt(value?.toString() ?? 0)

export const boolOf = (value: Codec | null | undefined): boolean => value?.toString() === 'true'

/** The elements of a Vec. */
export const listOf = (value: Codec | null | undefined): Codec[] =>
  value ? [...(value as unknown as Iterable<Codec>)] : []

/** An account as an address with Bittensor's prefix, whatever prefix the chain's properties claim. */
export const accountOf = (value: Codec | null | undefined): string =>
  encodeAddress(value ? value.toU8a() : new Uint8Array(32), SS58_PREFIX)

/** A field of a struct, by its name in camelCase. */
export const fieldOf = (value: Codec, name: string): Codec | undefined =>
  (value as unknown as Record<string, Codec>)[name]
