import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { constants, zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import python from '../../test/fixtures/python-zips.json' with { type: 'json' }
import { type RawEntry, rawZip } from '../../test/zip/raw-zip.ts'
import { refusalOf, refusalOfEntries, textsIn } from '../../test/zip/read-zip.ts'
import { InputZip } from './input-zip.ts'
import { BZIP2, LZMA, ZSTD } from './methods.ts'

const BROKEN = 'Input zip is broken: '
const WRONG_SIZE = `${BROKEN}an entry does not have the size that it claims`
const WRONG_CHECKSUM = `${BROKEN}the checksum of an entry is wrong`
const LARGE = { maxBytes: 10_000_000, maxEntries: 100 }
const ZEROS = Buffer.alloc(1_000_000)

const packed = (base64: string) => Buffer.from(base64, 'base64')

/** Each method, with the same contents packed by it. */
const METHODS = [
  ['BZIP2', BZIP2, packed(python.bzip2.text), packed(python.bzip2.zeros)],
  ['LZMA', LZMA, packed(python.lzma.text), packed(python.lzma.zeros)],
  ['Zstandard', ZSTD, zstdCompressSync('text'), zstdCompressSync(ZEROS)],
] as const

test.each(['bzip2', 'lzma'] as const)('reads a zip that Python compressed by %s', async method => {
  expect(await textsIn(packed(python[method].zip), LARGE)).toEqual({
    'payload.txt': 'packed by Python',
    empty: '',
    folder: undefined,
    'folder/long': '0123456789'.repeat(250_000),
  })
})

describe.each(METHODS)('%s', (_, method, text, zeros) => {
  const entry: RawEntry = { name: 'a', method, contents: 'text', packed: text }

  test('unpacks many entries beside other methods', async () => {
    const names = Array.from({ length: 50 }, (_, at) => `${at}`)
    const others = [
      { name: 'stored', contents: 'text', method: 0 },
      { name: 'deflated', contents: 'text' },
    ]
    const texts = await textsIn(rawZip([...names.map(name => ({ ...entry, name })), ...others]))
    expect(texts).toEqual(Object.fromEntries([...names, 'stored', 'deflated'].map(name => [name, 'text'])))
  })

  test.each([
    ['larger than claimed', { packed: zeros, contents: ZEROS, claimed: { size: 10 } }, WRONG_SIZE],
    // The library for LZMA ends at the size that the entry claims.
    ['larger than claimed by one', { claimed: { size: 3 } }, method === LZMA ? WRONG_CHECKSUM : WRONG_SIZE],
    ['smaller than claimed', { claimed: { size: 10 } }, expect.stringMatching(/^Input zip is broken: /)],
    ['without their checksum', { claimed: { crc: 1 } }, WRONG_CHECKSUM],
    ['that end too early', { packed: text.subarray(0, 12) }, expect.stringMatching(/^Input zip is broken: /)],
    ['of nothing', { packed: Buffer.alloc(0) }, expect.stringMatching(/^Input zip is broken: /)],
    ['that are something else', { packed: randomBytes(500) }, expect.stringMatching(/^Input zip is broken: /)],
    ['that are encrypted', { flags: 0x801 }, 'Input zip is encrypted'],
    ['that only claim to be large', { claimed: { size: 4_000_000_000 } }, 'Input volume too large'],
  ])('refuses contents %s', async (_, lie, why) => {
    expect(await refusalOfEntries([{ ...entry, ...lie }])).toEqual(why)
  })

  test('refuses a file with a great ratio before unpacking it', async () => {
    const bomb = { name: 'a', method, packed: zeros, contents: ZEROS }
    expect(await refusalOfEntries([bomb], {}, { maxBytes: 999_999, maxEntries: 1 })).toBe('Input volume too large')
    expect(await refusalOfEntries([bomb], {}, { maxBytes: 1_000_000, maxEntries: 1 })).toBe('accepted')
  })

  test('reads or refuses an entry with any changed byte', async () => {
    for (let at = 0; at < text.length; at += 1) {
      const bytes = Buffer.from(text)
      bytes[at] = (bytes[at] ?? 0) ^ 0x55
      await refusalOfEntries([{ ...entry, packed: bytes }])
    }
  })
})

test.each([
  [1, 'Shrink (method 1)'],
  [6, 'Implode (method 6)'],
  [9, 'Deflate64 (method 9)'],
  [95, 'XZ (method 95)'],
  [98, 'PPMd (method 98)'],
  [77, 'method 77'],
])('refuses method %d by its name', async (method, name) => {
  expect(await refusalOfEntries([{ name: 'a', method, contents: 'text' }])).toBe(
    `Input zip is compressed by ${name}, which is not supported; ` +
      'it may be stored, or compressed by Deflate, BZIP2, LZMA or Zstandard',
  )
})

test('refuses LZMA of a size that would take too much memory', async () => {
  const entry = { name: 'a', method: LZMA, packed: packed(python.lzma.text), claimed: { size: 134_217_729 } }
  expect(await refusalOfEntries([entry], {}, { maxBytes: 2 ** 40, maxEntries: 1 })).toBe(
    'Input zip has a file of more than 134217728 bytes that is compressed by LZMA',
  )
})

test('takes no more memory for a huge LZMA dictionary than for the contents', async () => {
  const bytes = packed(python.lzma.text)
  bytes.writeUInt32LE(0xffffffff, 5)
  const before = process.memoryUsage().rss
  const zip = rawZip([{ name: 'a', method: LZMA, contents: 'text', packed: bytes }])
  expect(await textsIn(zip)).toEqual({ a: 'text' })
  expect(process.memoryUsage().rss - before).toBeLessThan(1_000_000_000)
})

test('refuses a window of Zstandard beyond 128 MiB', async () => {
  const params = { [constants.ZSTD_c_windowLog]: 28, [constants.ZSTD_c_enableLongDistanceMatching]: 1 }
  // A frame without its size in the head has its window size there.
  const frame = zstdCompressSync('text', { params: { ...params, [constants.ZSTD_c_contentSizeFlag]: 0 } })
  frame[5] = (28 - 10) << 3
  expect(await refusalOfEntries([{ name: 'a', method: ZSTD, contents: 'text', packed: frame }])).toMatch(
    /^Input zip is broken: .*memory/i,
  )
})

test('unpacks no more than is read, and nothing after a stop', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'unread-'))
  const path = join(folder, 'input.zip')
  await writeFile(path, packed(python.bzip2.zip))
  await using zip = await InputZip.open(path, LARGE)
  await rm(folder, { recursive: true })
  const long = zip.entries.find(({ name }) => name === 'folder/long')
  if (long === undefined) throw new Error('the zip has no such entry')
  const contents = (await zip.contents(long.entry)) as AsyncGenerator<Buffer>
  let bytes = (await contents.next()).value?.length ?? 0
  await zip.stop()
  const reading = async () => {
    for await (const chunk of contents) bytes += chunk.length
  }
  await expect(reading()).rejects.toThrow(`${BROKEN}the unpacking was stopped`)
  expect(bytes).toBeGreaterThan(0)
  // Of the 2,500,000: what was read, and four chunks that wait.
  expect(bytes).toBeLessThanOrEqual(5 * 262_144)
})

test('refuses a zip whose first entry is broken', async () => {
  const good = { name: 'b', method: BZIP2, contents: 'text', packed: packed(python.bzip2.text) }
  expect(await refusalOf(rawZip([{ ...good, name: 'a', claimed: { size: 3 } }, good]))).toBe(WRONG_SIZE)
})
