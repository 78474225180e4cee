import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { rawZip } from '../../test/zip/raw-zip.ts'
import { refusalOfEntries, textsIn } from '../../test/zip/read-zip.ts'

const OUT_OF_FOLDER = 'Input zip has a name that leads out of its folder'
const ABSOLUTE = 'Input zip has an absolute name'
const TWO_FILES = 'Input zip has several files of one name'
const FILE_AND_FOLDER = 'Input zip has a file and a folder of one name'
const NOT_UTF8 = 'Input zip has a name that is not valid UTF-8'
const SPECIAL = 'Input zip holds a device or other special file'

/** Info-ZIP's extra field with a name in UTF-8 that counts in place of the other. */
function unicodePath(instead: string, name: string): Buffer {
  const data = Buffer.from(`?\x01????${name}`)
  const head = Buffer.alloc(9)
  head.writeUInt16LE(0x7075)
  head.writeUInt16LE(data.length - 1, 2)
  head.writeUInt8(1, 4)
  head.writeUInt32LE(crc32(instead), 5)
  return Buffer.concat([head, Buffer.from(name)])
}

describe('names', () => {
  test.each([
    ['a/b.txt', 'a/b.txt'],
    ['./c', 'c'],
    ['d\\e', 'd/e'],
    ['f//g/./h', 'f/g/h'],
    ['a..b', 'a..b'],
    ['...', '...'],
    ['.. /x', '.. /x'],
    ['ends. ', 'ends. '],
    ['%2e%2e/%2fetc', '%2e%2e/%2fetc'],
    ['~root', '~root'],
    ['new\nline', 'new\nline'],
    ['.wh.opaque', '.wh.opaque'],
    ['größe/☃', 'größe/☃'],
    ['__proto__', '__proto__'],
    ['ab:c', 'ab:c'],
  ])('accepts %j as %j', async (name, as) => {
    const texts = await textsIn(rawZip([{ name, contents: 'text' }]))
    expect(Object.entries(texts)).toEqual([[as, 'text']])
  })

  test.each([
    ['../up', OUT_OF_FOLDER],
    ['..', OUT_OF_FOLDER],
    ['./../up', OUT_OF_FOLDER],
    ['a/../../up', OUT_OF_FOLDER],
    ['a/../b', OUT_OF_FOLDER],
    ['..\\up', OUT_OF_FOLDER],
    ['a\\..\\..\\up', OUT_OF_FOLDER],
    ['.\\../up', OUT_OF_FOLDER],
    ['a/..', OUT_OF_FOLDER],
    ['../', OUT_OF_FOLDER],
    ['/etc/passwd', ABSOLUTE],
    ['//etc/passwd', ABSOLUTE],
    ['/', ABSOLUTE],
    ['\\etc\\passwd', ABSOLUTE],
    ['\\\\server\\share\\x', ABSOLUTE],
    ['\\\\?\\C:\\x', ABSOLUTE],
    ['C:\\autoexec.bat', ABSOLUTE],
    ['c:relative', ABSOLUTE],
    ['Z:/x', ABSOLUTE],
    ['nul\0byte', 'Input zip has a name with a zero byte'],
    [`${'d/'.repeat(64)}f`, 'Input zip has folders nested too deeply'],
    ['x'.repeat(256), 'Input zip has a name that is too long'],
    ['é'.repeat(128), 'Input zip has a name that is too long'],
    [`${'x'.repeat(200)}/`.repeat(16), 'Input zip has a name that is too long'],
    ['', 'Input zip has a file without a name'],
    ['.', 'Input zip has a file without a name'],
  ])('refuses %j', async (name, why) => {
    expect(await refusalOfEntries([{ name: 'harmless' }, { name }])).toBe(why)
  })

  test.each([
    ['overlong dots', Buffer.from([0xc0, 0xae, 0xc0, 0xae, 0x2f, 0x75])],
    ['an overlong slash', Buffer.from([0x61, 0xe0, 0x80, 0xaf, 0x62])],
    ['half a character', Buffer.from([0x61, 0xe2, 0x98])],
  ])('refuses names that are not UTF-8: %s', async (_, name) => {
    expect(await refusalOfEntries([{ name }])).toBe(NOT_UTF8)
  })

  test('reads names without the UTF-8 flag in code page 437', async () => {
    expect(await textsIn(rawZip([{ name: Buffer.from([0x81, 0xae]), flags: 0 }]))).toEqual({ 'ü«': '' })
  })

  test('takes names from the directory, not from the local headers', async () => {
    const plain = { name: '../../up', claimed: { name: 'harmless' }, contents: 'x' }
    expect(await textsIn(rawZip([plain]))).toEqual({ harmless: 'x' })
    expect(await refusalOfEntries([{ name: 'harmless', claimed: { name: '../../up' } }])).toBe(OUT_OF_FOLDER)
  })

  test('checks names in the field for Unicode names like others', async () => {
    expect(await textsIn(rawZip([{ name: 'a', extra: unicodePath('a', 'ä') }]))).toEqual({ ä: '' })
    expect(await refusalOfEntries([{ name: 'a', extra: unicodePath('a', '../up') }])).toBe(OUT_OF_FOLDER)
    expect(await textsIn(rawZip([{ name: 'a', extra: unicodePath('b', '../up') }]))).toEqual({ a: '' })
  })

  test.each([
    [['same', 'same'], TWO_FILES],
    [['a/b', 'a//b'], TWO_FILES],
    [['a/b', 'a/./b'], TWO_FILES],
    [['a/b', 'a\\b'], TWO_FILES],
    [['a', 'a/b'], FILE_AND_FOLDER],
    [['a/b', 'a'], FILE_AND_FOLDER],
    [['a', 'a/'], FILE_AND_FOLDER],
    [['a/', 'a'], FILE_AND_FOLDER],
    [['a/', 'a//', './', 'a/b'], 'accepted'],
    [['a', 'A'], 'accepted'],
  ])('judges %j together: %s', async (names, outcome) => {
    expect(await refusalOfEntries(names.map(name => ({ name })))).toBe(outcome)
  })
})

describe('entries that are no files', () => {
  test.each([
    ['a symbolic link', 0o120777, 'Input zip holds a symbolic link'],
    ['a fifo', 0o010644, SPECIAL],
    ['a character device', 0o020644, SPECIAL],
    ['a block device', 0o060644, SPECIAL],
    ['a socket', 0o140644, SPECIAL],
  ])('refuses %s', async (_, mode, why) => {
    expect(await refusalOfEntries([{ name: 'link', mode, contents: '/etc/passwd' }])).toBe(why)
  })

  test('refuses a symbolic link and an entry that would be written through it', async () => {
    const link = { name: 'way', mode: 0o120777, contents: '/etc' }
    expect(await refusalOfEntries([link, { name: 'way/passwd', contents: 'x' }])).toBe(
      'Input zip holds a symbolic link',
    )
  })

  test('ignores the target of a link in a field of PKWARE', async () => {
    const extra = Buffer.concat([Buffer.from([0x0d, 0, 16, 0]), Buffer.alloc(12), Buffer.from('/etc')])
    expect(await textsIn(rawZip([{ name: 'a', extra, contents: 'x' }]))).toEqual({ a: 'x' })
  })
})
