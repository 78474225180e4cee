import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type RawEntry, type RawZip, rawZip } from '../../test/zip/raw-zip.ts'
import { refusalOf, refusalOfEntries, textsIn } from '../../test/zip/read-zip.ts'
import { InputZip } from './input-zip.ts'

const BROKEN = 'Input zip is broken: '
const NO_DIRECTORY = `${BROKEN}it has no directory at its end; it is not a zip, or not all of one`
const BEYOND = `${BROKEN}it points beyond its own end`
const WRONG_SIZE = `${BROKEN}an entry does not have the size that it claims`

/** Does not fit into the pieces in which zips are read, not even deflated. */
const LONG = randomBytes(200_000)

describe('contents', () => {
  test.each([
    ['deflated', {}],
    ['stored', { method: 0 }],
    ['with their sizes behind them', { descriptor: true }],
    ['that are a zip themselves, which stays one', { contents: rawZip([{ name: '../up' }]) }],
  ])('unpacks %s', async (_, entry: Partial<RawEntry>) => {
    const contents = entry.contents ?? 'x'.repeat(100_000)
    expect(await textsIn(rawZip([{ name: 'a', ...entry, contents }]))).toEqual({ a: contents.toString() })
  })

  test.each([
    ['encrypted', { flags: 0x801 }, 'Input zip is encrypted'],
    ['encrypted, not deflated', { flags: 0x801, method: 0, claimed: { compressedSize: 13 } }, 'Input zip is encrypted'],
    ['strongly encrypted', { flags: 0x841 }, 'Input zip is encrypted'],
    ['encrypted by AES', { flags: 0x801, method: 99 }, 'Input zip is encrypted'],

    ['without their checksum', { claimed: { crc: 0xbad } }, `${BROKEN}the checksum of an entry is wrong`],
    ['larger than claimed', { contents: 'x'.repeat(5_000), claimed: { size: 10 } }, WRONG_SIZE],
    ['smaller than claimed', { claimed: { size: 10 } }, WRONG_SIZE],
    [
      'at length without their checksum',
      { contents: LONG, claimed: { crc: 1 } },
      `${BROKEN}the checksum of an entry is wrong`,
    ],
    ['streamed and larger than claimed', { contents: LONG, claimed: { size: 70_000 } }, WRONG_SIZE],
    ['streamed and smaller than claimed', { contents: LONG, claimed: { size: 900_000 } }, WRONG_SIZE],
    [
      'at length that end too early',
      { contents: LONG, claimed: { compressedSize: 70_000 } },
      `${BROKEN}unexpected end of file`,
    ],
    ['that end too early', { claimed: { compressedSize: 1 } }, `${BROKEN}unexpected end of file`],
    ['of more than there is', { claimed: { compressedSize: 9_999 } }, expect.stringMatching(/overflows file bounds/)],
    ['that are not where they should be', { claimed: { at: 1 } }, expect.stringMatching(/invalid local file header/)],
    ['that are beyond the end', { claimed: { at: 0xfffffff0 } }, BEYOND],
  ])('refuses %s', async (_, entry: Partial<RawEntry>, why) => {
    expect(await refusalOfEntries([{ name: 'a', contents: 'x', ...entry }])).toEqual(why)
  })
})

describe('size', () => {
  const small = { maxBytes: 1_000, maxEntries: 9 }

  test.each([
    [
      'all entries together',
      [
        { name: 'a', contents: 'x'.repeat(600) },
        { name: 'b', contents: 'x'.repeat(600) },
      ],
    ],
    ['a file of a great ratio', [{ name: 'a', contents: Buffer.alloc(1_000_000) }]],
    ['one that only says so', [{ name: 'a', claimed: { size: 4_000_000_000 } }]],
    ['a folder that says so', [{ name: 'a/', claimed: { size: 4_000_000_000 } }]],
  ])('refuses as too large: %s', async (_, entries: RawEntry[]) => {
    expect(await refusalOfEntries(entries, {}, small)).toBe('Input volume too large')
  })

  test('refuses entries that share their contents', async () => {
    const shared = Array.from({ length: 5 }, (_, index) => ({ name: `${index}`, contents: 'x', claimed: { at: 0 } }))
    expect(await refusalOfEntries(shared)).toBe('Input zip has entries that overlap')
    const nested = rawZip([{ name: 'inner', contents: 'x', method: 0 }])
    const outer = { name: 'outer', contents: nested, method: 0 }
    const inner = { name: 'inner', contents: 'x', method: 0, claimed: { at: 30 + 'outer'.length } }
    expect(await refusalOfEntries([outer, inner])).toBe('Input zip has entries that overlap')
  })

  test('counts entries of the same name', async () => {
    const entries = Array.from({ length: 10 }, () => ({ name: 'd/' }))
    expect(await refusalOfEntries(entries, {}, small)).toBe('Input zip has too many entries')
  })

  test('counts each folder once, also without an entry of its own', async () => {
    const together = ['a/b/c/1', 'a/b/c/2', 'a/b/', 'a/b/c/d/3', 'a/x/4'].map(name => ({ name }))
    expect(await refusalOfEntries(together, {}, small)).toBe('accepted')
    expect(await refusalOfEntries([...together, { name: 'z/5' }], {}, small)).toBe('Input zip has too many entries')
    const apart = Array.from({ length: 9 }, (_, at) => ({ name: `${at}${'/d'.repeat(60)}` }))
    expect(await refusalOfEntries(apart, {}, small)).toBe('Input zip has too many entries')
  })

  test('ignores entries beyond its count, and refuses fewer', async () => {
    expect(await textsIn(rawZip([{ name: 'a' }, { name: 'b' }], { count: 1 }))).toEqual({ a: '' })
    expect(await refusalOfEntries([{ name: 'a' }], { count: 2 })).toBe(BEYOND)
  })

  test('refuses a hundred thousand entries by their number', async () => {
    const count = 100_000
    const bytes = rawZip(
      Array.from({ length: count }, (_, index) => ({ name: `${index}`, method: 0 })),
      { zip64: true },
    )
    const limits = { maxBytes: 1_000_000, maxEntries: 10_000 }
    expect(await refusalOf(bytes, limits)).toBe('Input zip has too many entries')
    expect(Object.keys(await textsIn(bytes, { ...limits, maxEntries: count }))).toHaveLength(count)
  })

  test('does not keep comments and extra fields in memory', async () => {
    const comment = Buffer.alloc(60_000)
    const entries = Array.from({ length: 500 }, (_, index) => ({ name: `${index}`, comment, method: 0 }))
    const folder = await mkdtemp(join(tmpdir(), 'input-zip-'))
    const path = join(folder, 'wordy.zip')
    await writeFile(path, rawZip(entries))
    await using zip = await InputZip.open(path, { maxBytes: 1, maxEntries: 500 })
    await rm(folder, { recursive: true })
    const held = zip.entries.map(({ entry }) => Object.values(entry).filter(Buffer.isBuffer))
    expect(held.flat().reduce((bytes, { length }) => bytes + length, 0)).toBe(0)
  })
})

describe('the zip itself', () => {
  const entry = { name: 'a', contents: 'x' }

  test.each([
    ['without entries', [], {}, {}],
    ['with a long comment', [entry], { comment: Buffer.alloc(65_535, 'c') }, { a: 'x' }],
    ['claimed in 64 bits', [entry], { zip64: true }, { a: 'x' }],
    ['behind something else that is counted', [entry], { prefix: Buffer.alloc(99), counted: true }, { a: 'x' }],
  ])('accepts %s', async (_, entries: RawEntry[], end: RawZip, texts) => {
    expect(await textsIn(rawZip(entries, end))).toEqual(texts)
  })

  test.each([
    ['empty', Buffer.alloc(0), NO_DIRECTORY],
    ['not a zip', Buffer.from('hello'), NO_DIRECTORY],
    ['a page that says no', Buffer.from('<html>403</html>'), NO_DIRECTORY],
    ['truncated', rawZip([entry]).subarray(0, -5), NO_DIRECTORY],
    ['without its beginning', rawZip([entry]).subarray(20), expect.stringMatching(/^Input zip is broken: /)],
    [
      'behind something uncounted',
      rawZip([entry], { prefix: Buffer.alloc(99) }),
      expect.stringMatching(/^Input zip is broken: /),
    ],
    [
      'followed by something',
      Buffer.concat([rawZip([entry]), Buffer.alloc(9)]),
      expect.stringMatching(/^Input zip is broken: /),
    ],
    ['with a directory beyond its end', rawZip([entry], { zip64: 1n << 40n }), BEYOND],
    ['with a directory beyond all numbers', rawZip([entry], { zip64: 1n << 63n }), BEYOND],
  ])('refuses %s', async (_, bytes, why) => {
    expect(await refusalOf(bytes)).toEqual(why)
  })

  test('reads or refuses a zip with any changed byte', async () => {
    const good = rawZip([entry, { name: 'd/' }, { name: 'b', contents: 'y'.repeat(500), descriptor: true }], {
      zip64: true,
    })
    const change = fc.record({ at: fc.nat(good.length - 1), bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }) })
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(good.length), async (changes, cut) => {
        const bytes = Buffer.from(good)
        for (const { at, bytes: value } of changes) bytes.set(value.subarray(0, bytes.length - at), at)
        await refusalOf(cut % 10 === 0 ? bytes.subarray(0, cut) : bytes)
      }),
      { numRuns: 1_000 },
    )
  })
})
