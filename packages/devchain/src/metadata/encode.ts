import { metadata, type V14 } from '@polkadot-api/substrate-bindings'
import { type PalletTypes, palletTypesOf, runtimePallets } from '../pallets/runtime.ts'
import { multiAddress, multiSignature } from '../scale/accounts.ts'
import { bytes, tuple } from '../scale/composites.ts'
import { encodeHex, type Type } from '../scale/type.ts'
import type { Constant } from '../table/pallet.ts'
import { runtimeCall } from '../table/runtime-call.ts'
import type { Entry } from '../table/storage-entry.ts'
import { EXTRINSIC_VERSION } from '../table/version.ts'
import { EXTENSIONS } from './extensions.ts'
import { TypeBook } from './type-book.ts'

type MetadataPallet = V14['pallets'][number]
type StorageItem = NonNullable<MetadataPallet['storage']>['items'][number]

/** "meta", little-endian. */
const METADATA_MAGIC = 0x61_74_65_6d
/** A storage entry's modifier: what a read of an entry that was never stored returns. */
const MODIFIERS = { optional: 0, default: 1 }

/** Encodes the runtime's table as metadata version 14. Half of `blockMs` is announced as Timestamp.MinimumPeriod. */
export function encodeMetadata(blockMs: number): Uint8Array {
  const book = new TypeBook()
  const constants = new Map(runtimePallets(blockMs).map(({ name, constants }) => [name, constants ?? {}]))
  const pallets = palletTypesOf.map(types => describePallet(types, constants.get(types.pallet.name) ?? {}, book))
  const extrinsic = {
    type: book.idOf(uncheckedExtrinsic()),
    version: EXTRINSIC_VERSION,
    signedExtensions: EXTENSIONS.map(({ identifier, type, additional }) => ({
      identifier,
      type: book.idOf(type),
      additionalSigned: book.idOf(additional),
    })),
  }
  const type = book.idOf(emptyComposite('node_subtensor_runtime::Runtime'))
  const v14 = { lookup: book.entries, pallets, extrinsic, type, apis: [] }
  return metadata.enc({ magicNumber: METADATA_MAGIC, metadata: { tag: 'v14', value: v14 } })
}

function describePallet(types: PalletTypes, constants: Record<string, Constant>, book: TypeBook): MetadataPallet {
  const { pallet, calls, events, errors } = types
  const idOf = (type: Type<unknown> | undefined) => type && book.idOf(type)
  const items = Object.entries(pallet.storage ?? {}).map(([name, entry]) => describeEntry(name, entry, book))
  return {
    name: pallet.name,
    storage: pallet.storage ? { prefix: pallet.name, items } : undefined,
    calls: idOf(calls),
    events: idOf(events),
    constants: Object.entries(constants).map(([name, { type, value }]) => ({
      name,
      type: book.idOf(type),
      value: encodeHex(type, value),
      docs: [],
    })),
    errors: idOf(errors),
    index: pallet.index,
    docs: [],
  }
}

function describeEntry(name: string, entry: Entry, book: TypeBook): StorageItem {
  const optional = entry.fallback === undefined
  return {
    name,
    modifier: optional ? MODIFIERS.optional : MODIFIERS.default,
    type: describeEntryType(entry, book),
    fallback: optional ? '0x00' : encodeHex(entry.type, entry.fallback),
    docs: [],
  }
}

function describeEntryType({ keys, type }: Entry, book: TypeBook): StorageItem['type'] {
  const value = book.idOf(type)
  const [first, ...rest] = keys
  if (!first) return { tag: 'plain', value }
  const key = book.idOf(rest.length === 0 ? first.type : tuple(...keys.map(one => one.type)))
  return { tag: 'map', value: { hashers: keys.map(({ hasher }) => ({ tag: hasher, value: undefined })), key, value } }
}

function emptyComposite(path: string): Type<null> {
  return { encode: () => {}, decode: () => null, shape: () => ({ kind: 'composite', path, fields: [] }) }
}

/**
 * The named type of an extrinsic. Clients read its parameters to learn the types of address, call, signature and extra.
 */
function uncheckedExtrinsic(): Type<unknown> {
  const extra = tuple(...EXTENSIONS.map(({ type }) => type))
  return {
    ...bytes,
    encode: () => {},
    shape: () => ({
      kind: 'composite',
      path: 'sp_runtime::generic::unchecked_extrinsic::UncheckedExtrinsic',
      parameters: [
        { name: 'Address', type: multiAddress },
        { name: 'Call', type: runtimeCall },
        { name: 'Signature', type: multiSignature },
        { name: 'Extra', type: extra },
      ],
      fields: [{ type: bytes }],
    }),
  }
}
