import { type PalletTypes, palletTypesOf, runtimePallets } from '../pallets/runtime.ts'
import { multiAddress, multiSignature } from '../scale/accounts.ts'
import { bytes, tuple } from '../scale/composites.ts'
import { encode, type Type, type ValueOf } from '../scale/type.ts'
import type { Constant } from '../table/pallet.ts'
import { runtimeCall } from '../table/runtime-call.ts'
import type { Entry } from '../table/storage-entry.ts'
import { EXTRINSIC_VERSION } from '../table/version.ts'
import { EXTENSIONS } from './extensions.ts'
import { METADATA_MAGIC, metadataV14, type portableType } from './format.ts'
import { type BookEntry, type BookField, TypeBook } from './type-book.ts'

type Metadata = ValueOf<typeof metadataV14>
type MetadataPallet = Metadata['pallets'][number]
type StorageItem = NonNullable<MetadataPallet['storage']>['items'][number]
type PortableType = ValueOf<typeof portableType>

const METADATA_VERSION = 14

/** Encodes the runtime's table as metadata version 14. Half of `blockMs` is announced as Timestamp.MinimumPeriod. */
export function encodeMetadata(blockMs: number): Uint8Array {
  const book = new TypeBook()
  const constants = new Map(runtimePallets(blockMs).map(({ name, constants }) => [name, constants ?? {}]))
  const pallets = palletTypesOf.map(types => describePallet(types, constants.get(types.pallet.name) ?? {}, book))
  const extrinsic = {
    type: book.idOf(uncheckedExtrinsic()),
    version: EXTRINSIC_VERSION,
    extensions: EXTENSIONS.map(({ identifier, type, additional }) => ({
      identifier,
      type: book.idOf(type),
      additional: book.idOf(additional),
    })),
  }
  const runtime = book.idOf(emptyComposite('node_subtensor_runtime::Runtime'))
  const types = book.entries.map(portable)
  return encode(metadataV14, { magic: METADATA_MAGIC, version: METADATA_VERSION, types, pallets, extrinsic, runtime })
}

function describePallet(types: PalletTypes, constants: Record<string, Constant>, book: TypeBook): MetadataPallet {
  const { pallet, calls, events, errors } = types
  const idOf = (type: Type<unknown> | undefined) => (type ? book.idOf(type) : null)
  const items = Object.entries(pallet.storage ?? {}).map(([name, entry]) => describeEntry(name, entry, book))
  return {
    name: pallet.name,
    storage: pallet.storage ? { prefix: pallet.name, items } : null,
    calls: idOf(calls),
    events: idOf(events),
    constants: Object.entries(constants).map(([name, { type, value }]) => ({
      name,
      type: book.idOf(type),
      value: encode(type, value),
      docs: [],
    })),
    errors: idOf(errors),
    index: pallet.index,
  }
}

function describeEntry(name: string, entry: Entry, book: TypeBook): StorageItem {
  const optional = entry.fallback === undefined
  return {
    name,
    modifier: { type: optional ? 'Optional' : 'Default', value: null },
    type: describeEntryType(entry, book),
    fallback: optional ? new Uint8Array([0]) : encode(entry.type, entry.fallback),
    docs: [],
  }
}

function describeEntryType({ keys, type }: Entry, book: TypeBook): StorageItem['type'] {
  const value = book.idOf(type)
  const [first, ...rest] = keys
  if (!first) return { type: 'Plain', value }
  const key = book.idOf(rest.length === 0 ? first.type : tuple(...keys.map(one => one.type)))
  return { type: 'Map', value: { hashers: keys.map(({ hasher }) => ({ type: hasher, value: null })), key, value } }
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

function portable(entry: BookEntry, id: number): PortableType {
  const field = (one: BookField) => ({ ...one, docs: [] })
  const { path, parameters, definition } = entry
  const same = { id, path, parameters, docs: [] }
  if (definition.type === 'Composite') {
    return { ...same, definition: { type: 'Composite', value: { fields: definition.value.fields.map(field) } } }
  }
  if (definition.type === 'Variant') {
    const value = definition.value.map(one => ({ ...one, fields: one.fields.map(field), docs: [] }))
    return { ...same, definition: { type: 'Variant', value } }
  }
  if (definition.type === 'Primitive') {
    return { ...same, definition: { type: 'Primitive', value: { type: definition.value, value: null } } }
  }
  return { ...same, definition }
}
