/** Zips to the letter, for tests: every field may be a lie. */
import { crc32, deflateRawSync } from 'node:zlib'

export interface RawEntry {
  name: string | Buffer
  contents?: string | Buffer
  /** A file's mode and type as Unix has them. */
  mode?: number
  /** 0: stored, 8: deflated; any other: `packed` is what is stored. */
  method?: number
  /** The contents as another program compressed them. */
  packed?: Buffer
  flags?: number
  /** What the directory says in place of the truth. */
  claimed?: { name?: string; crc?: number; size?: number; compressedSize?: number; at?: number }
  extra?: Buffer
  comment?: Buffer
  /** Whether checksum and sizes stand behind the contents instead of before them. */
  descriptor?: boolean
}

export interface RawZip {
  /** What stands before the first entry; offsets take no account of it unless `counted`. */
  prefix?: Buffer
  counted?: boolean
  comment?: Buffer
  /** The number of entries that the end of the zip states. */
  count?: number
  /** Whether the zip also has an end record in 64 bits. A number: the wrong start of the directory that it claims. */
  zip64?: boolean | bigint
}

const UTF8 = 0x800
const DESCRIPTOR = 0x8
const MADE_ON_UNIX = 0x0314

export function rawZip(entries: RawEntry[], end: RawZip = {}): Buffer {
  const { prefix = Buffer.alloc(0), counted = false } = end
  const parts: Buffer[] = [prefix]
  const directory: Buffer[] = []
  let at = counted ? prefix.length : 0
  for (const entry of entries) {
    const { local, central } = entryBytes(entry, at)
    parts.push(local)
    directory.push(central)
    at += local.length
  }
  return Buffer.concat([...parts, ...directory, endBytes(entries.length, at, Buffer.concat(directory).length, end)])
}

function entryBytes(entry: RawEntry, at: number): { local: Buffer; central: Buffer } {
  const { method = 8, flags = UTF8, claimed = {}, extra = Buffer.alloc(0), comment = Buffer.alloc(0) } = entry
  const contents = Buffer.from(entry.contents ?? '')
  const stored = entry.packed ?? (method === 8 ? deflateRawSync(contents) : contents)
  const facts = { crc: crc32(contents), compressedSize: stored.length, size: contents.length }
  const name = Buffer.from(entry.name)
  const all = entry.descriptor ? flags | DESCRIPTOR : flags
  const before = entry.descriptor ? { crc: 0, compressedSize: 0, size: 0 } : facts
  const behind = entry.descriptor ? Buffer.concat([ints('PK\x07\x08'), factBytes(facts)]) : Buffer.alloc(0)
  const local = Buffer.concat([
    ints('PK\x03\x04', 20),
    ints(all, method, 0, 0x21),
    factBytes(before),
    ints(name.length, 0),
    name,
  ])
  const claimedName = claimed.name === undefined ? name : Buffer.from(claimed.name)
  const central = Buffer.concat([
    ints('PK\x01\x02', MADE_ON_UNIX, 20, all, method, 0, 0x21),
    factBytes({ ...facts, ...claimed }),
    ints(claimedName.length, extra.length, comment.length, 0, 0),
    longs((entry.mode ?? 0o100644) * 0x10000, claimed.at ?? at),
    claimedName,
    extra,
    comment,
  ])
  return { local: Buffer.concat([local, stored, behind]), central }
}

function endBytes(
  count: number,
  at: number,
  size: number,
  { comment = Buffer.alloc(0), zip64, count: claimed = count }: RawZip,
): Buffer {
  const end = Buffer.concat([
    ints('PK\x05\x06', 0, 0, Math.min(claimed, 0xffff), Math.min(claimed, 0xffff)),
    longs(size, at),
    ints(comment.length),
    comment,
  ])
  if (zip64 === undefined) return end
  const start = typeof zip64 === 'bigint' ? zip64 : BigInt(at)
  const head = [ints('PK\x06\x06'), quads(44n), ints(MADE_ON_UNIX, 45), longs(0, 0)]
  const record = Buffer.concat([...head, quads(BigInt(claimed), BigInt(claimed), BigInt(size), start)])
  const locator = Buffer.concat([ints('PK\x06\x07'), longs(0), quads(BigInt(at + size)), longs(1)])
  return Buffer.concat([record, locator, end])
}

function factBytes({ crc, compressedSize, size }: { crc: number; compressedSize: number; size: number }): Buffer {
  return longs(crc, compressedSize, size)
}

/** Texts as they are, numbers in two bytes. */
function ints(...values: (string | number)[]): Buffer {
  return Buffer.concat(
    values.map(value => {
      if (typeof value === 'string') return Buffer.from(value, 'latin1')
      const bytes = Buffer.alloc(2)
      bytes.writeUInt16LE(value)
      return bytes
    }),
  )
}

function longs(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4)
  return bytes
}

function quads(...values: bigint[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8)
  for (const [index, value] of values.entries()) bytes.writeBigUInt64LE(value, index * 8)
  return bytes
}
