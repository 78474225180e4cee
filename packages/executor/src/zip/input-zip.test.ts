import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ZipFile } from 'yazl'
import { type InputEntry, InputZip } from './input-zip.ts'

const SYMLINK = 0o120777
const FIFO = 0o010644
const LIMITS = { maxBytes: 1_000_000, maxEntries: 100 }
/** Where a central directory entry holds its general purpose flags, its compression method and its checksum. */
const FLAGS_AT = 8
const METHOD_AT = 10
const CRC_AT = 16

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'input-zip-'))
})
afterAll(() => rm(folder, { recursive: true }))

type Plan = { name: string; mode?: number; text?: string }[]

/** yazl refuses hostile names, so they go in as harmless ones of the same length and are exchanged in the bytes. */
async function zipOf(plan: Plan, patch?: (bytes: Buffer) => void): Promise<string> {
  const zip = new ZipFile()
  const stand = (name: string, index: number) => String(index).padStart(Buffer.byteLength(name), 'n')
  for (const [index, { name, mode, text }] of plan.entries()) {
    zip.addBuffer(Buffer.from(text ?? ''), stand(name, index), { mode: mode ?? 0o100644 })
  }
  zip.end()
  const chunks: Buffer[] = []
  for await (const chunk of zip.outputStream) chunks.push(chunk as Buffer)
  const bytes = Buffer.concat(chunks)
  for (const [index, { name }] of plan.entries()) {
    for (let at = bytes.indexOf(stand(name, index)); at >= 0; at = bytes.indexOf(stand(name, index), at + 1)) {
      bytes.write(name, at)
    }
  }
  patch?.(bytes)
  const path = join(folder, `${Math.random()}.zip`)
  await writeFile(path, bytes)
  return path
}

async function namesIn(plan: Plan): Promise<string[]> {
  await using zip = await InputZip.open(await zipOf(plan), LIMITS)
  return zip.entries.map(({ name }) => name)
}

async function refusalOf(plan: Plan, patch?: (bytes: Buffer) => void): Promise<string> {
  const path = await zipOf(plan, patch)
  return InputZip.open(path, LIMITS).then(
    () => 'accepted',
    error => (error as Error).message,
  )
}

test('ordinary names come through, whichever way they are written', async () => {
  expect(
    await namesIn([{ name: 'a/b.txt' }, { name: './c' }, { name: 'd\\e' }, { name: 'f//g' }, { name: 'a..b' }]),
  ).toEqual(['a/b.txt', 'c', 'd/e', 'f/g', 'a..b'])
})

test.each([
  ['../up', 'Input zip has a name that leads out of its folder'],
  ['a/../../up', 'Input zip has a name that leads out of its folder'],
  ['..\\up', 'Input zip has a name that leads out of its folder'],
  ['a/..', 'Input zip has a name that leads out of its folder'],
  ['/etc/passwd', 'Input zip has an absolute name'],
  ['\\\\host\\share', 'Input zip has an absolute name'],
  ['C:\\autoexec.bat', 'Input zip has an absolute name'],
  ['nul\0byte', 'Input zip has a name with a zero byte'],
  [`${'d/'.repeat(65)}f`, 'Input zip has folders nested too deeply'],
  ['x'.repeat(256), 'Input zip has a name that is too long'],
])('%s is refused', async (name, why) => {
  expect(await refusalOf([{ name: 'harmless' }, { name }])).toBe(why)
})

test.each([
  [SYMLINK, 'Input zip holds a symbolic link'],
  [FIFO, 'Input zip holds a device or other special file'],
])('an entry of mode %o is refused', async (mode, why) => {
  expect(await refusalOf([{ name: 'link', mode, text: '/etc/passwd' }])).toBe(why)
})

test('a file that is also a folder is refused', async () => {
  expect(await refusalOf([{ name: 'a' }, { name: 'a/b' }])).toBe('Input zip has a file and a folder of one name')
})

function inDirectory(at: number, value: number): (bytes: Buffer) => void {
  return bytes => void bytes.writeUInt16LE(value, bytes.indexOf(Buffer.from('PK\x01\x02')) + at)
}

test.each([
  ['encrypted', inDirectory(FLAGS_AT, 0x801), 'Input zip is encrypted'],
  ['strongly encrypted', inDirectory(FLAGS_AT, 0x841), 'Input zip is encrypted'],
  ['of an unknown method', inDirectory(METHOD_AT, 99), 'Input zip is compressed by an unknown method'],
])('a zip that is %s is refused', async (_, patch, why) => {
  expect(await refusalOf([{ name: 'a', text: 'x' }], patch)).toBe(why)
})

test('entries that claim to be too large are refused', async () => {
  const path = await zipOf([
    { name: 'a', text: 'x'.repeat(600) },
    { name: 'b', text: 'x'.repeat(600) },
  ])
  await expect(InputZip.open(path, { maxBytes: 1_000, maxEntries: 9 })).rejects.toThrow('Input volume too large')
})

test('contents that do not have their checksum are refused', async () => {
  const path = await zipOf([{ name: 'a', text: 'x'.repeat(600) }], inDirectory(CRC_AT, 0xbad))
  await using zip = await InputZip.open(path, LIMITS)
  const [first] = zip.entries
  const read = async () => {
    for await (const _ of zip.read((first as InputEntry).entry));
  }
  await expect(read()).rejects.toThrow('Input zip is broken: the checksum of an entry is wrong')
})

test('entries of one name count, too', async () => {
  const path = await zipOf(Array.from({ length: 11 }, () => ({ name: 'the same' })))
  await expect(InputZip.open(path, { ...LIMITS, maxEntries: 10 })).rejects.toThrow('Input zip has too many entries')
})

test('a zip without entries is fine', async () => {
  expect(await namesIn([])).toEqual([])
})
