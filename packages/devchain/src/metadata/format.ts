import { bytes, option, struct, vec } from '../scale/composites.ts'
import { compactU32, text, u8, u32 } from '../scale/primitives.ts'
import { PRIMITIVES } from '../scale/type.ts'
import { type Cases, empty, only, record, variants } from '../scale/variants.ts'
import { HASHERS } from '../table/storage-entry.ts'

/** Metadata version 14, described in the codec that it is encoded with (frame-metadata, scale-info). */

const names = (list: readonly string[]): Cases => Object.fromEntries(list.map(name => [name, empty]))

const field = struct('', { name: option(text), type: compactU32, typeName: option(text), docs: vec(text) })
const variant = struct('', { name: text, fields: vec(field), index: u8, docs: vec(text) })

const definition = variants('', {
  Composite: record({ fields: vec(field) }),
  Variant: only(vec(variant)),
  Sequence: only(compactU32),
  Array: record({ length: u32, type: compactU32 }),
  Tuple: only(vec(compactU32)),
  Primitive: only(variants('', names(PRIMITIVES))),
  Compact: only(compactU32),
})

export const portableType = struct('', {
  id: compactU32,
  path: vec(text),
  parameters: vec(struct('', { name: text, type: option(compactU32) })),
  definition,
  docs: vec(text),
})

const entryType = variants('', {
  Plain: only(compactU32),
  Map: record({ hashers: vec(variants('', names(HASHERS))), key: compactU32, value: compactU32 }),
})

const storageEntry = struct('', {
  name: text,
  modifier: variants('', names(['Optional', 'Default'])),
  type: entryType,
  fallback: bytes,
  docs: vec(text),
})

const constantEntry = struct('', { name: text, type: compactU32, value: bytes, docs: vec(text) })

const pallet = struct('', {
  name: text,
  storage: option(struct('', { prefix: text, items: vec(storageEntry) })),
  calls: option(compactU32),
  events: option(compactU32),
  constants: vec(constantEntry),
  errors: option(compactU32),
  index: u8,
})

const extension = struct('', { identifier: text, type: compactU32, additional: compactU32 })

export const metadataV14 = struct('', {
  magic: u32,
  version: u8,
  types: vec(portableType),
  pallets: vec(pallet),
  extrinsic: struct('', { type: compactU32, version: u8, extensions: vec(extension) }),
  runtime: compactU32,
})

/** "meta", little-endian. */
export const METADATA_MAGIC = 0x61_74_65_6d
