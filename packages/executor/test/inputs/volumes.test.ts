/** Jobs with many volumes: where their files go, which limits they share, and what is refused. */
import type { Volume } from '@horde/protocol/job/volumes'
import { zipBase64, zipBytes } from '@horde/testing/jobs/executor-job'
import { TestWeb } from '@horde/testing/peers/http-target'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rawZip } from '../zip/raw-zip.ts'
import { type PackedDeps, packed } from './packed.ts'

let web: TestWeb
let zip: Buffer
beforeAll(async () => {
  zip = await zipBytes({ 'a.txt': 'zip', 'deep/b.txt': 'zip' })
  web = await TestWeb.start((request, response) => {
    const flaky = web.requests.filter(line => line === 'GET /flaky').length === 1
    if (request.url === '/input.zip') response.end(zip)
    else if (request.url === '/flaky' && flaky) request.socket.destroy()
    else if (request.url?.startsWith('/status/')) response.writeHead(Number(request.url.slice(8))).end()
    else if (request.url === '/chunks') {
      for (let sent = 0; sent < 20; sent += 1) response.write(Buffer.alloc(1_000))
      response.end()
    } else response.end(`file ${request.url}`)
  })
})
afterAll(() => web[Symbol.asyncDispose]())

const inline = async (files: Record<string, string>, folder: string | null = null): Promise<Volume> => {
  return { kind: 'inline-zip', base64: await zipBase64(files), folder }
}
const file = (path: string, url = '/file'): Volume => ({ kind: 'file-url', url, path })
const remote = (folder: string | null, url = '/input.zip'): Volume => ({ kind: 'zip-url', url, folder })

/** What a job gets whose volumes have their URLs at this server. */
function loaded(volumes: Volume[], deps?: PackedDeps) {
  return packed(
    volumes.map(volume => ('url' in volume ? { ...volume, url: web.url(volume.url) } : volume)),
    deps,
  )
}

test('unpacks volumes of several kinds, each below its folder', async () => {
  const volumes = [await inline({ x: 'inline' }, 'one'), remote('two/three'), file('one/y'), file('z', '/flaky')]
  expect(await loaded(volumes)).toEqual({
    one: null,
    'one/x': 'inline',
    two: null,
    'two/three': null,
    'two/three/a.txt': 'zip',
    'two/three/deep': null,
    'two/three/deep/b.txt': 'zip',
    'one/y': 'file /file',
    z: 'file /flaky',
  })
})

test('lays later volumes over earlier ones', async () => {
  const volumes = [
    await inline({ 'deep/b.txt': 'old', kept: 'old' }),
    remote(null),
    file('a.txt'),
    await inline({}, 'empty'),
  ]
  expect(await loaded(volumes)).toEqual({
    deep: null,
    'deep/b.txt': 'zip',
    kept: 'old',
    'a.txt': 'file /file',
    empty: null,
  })
})

test('loads a job without volumes', async () => {
  expect(await loaded([])).toEqual({})
})

describe('names the volume that is refused, and why', () => {
  test.each([
    [
      'an absolute folder',
      [remote('/etc')],
      'Volume (zip-url): Its folder is absolute; give a relative path below /volume',
    ],
    [
      'a path upwards',
      [file('a'), file('../b')],
      /^Volume 2 of 2 \(file-url\): Its path leads out of \/volume by "\.\."/,
    ],
    ['a file without a name', [file('a/')], /^Volume \(file-url\): Its path names no file/],
    [
      'a path through a file',
      [file('a'), file('a/b')],
      /^Volume 2 of 2 \(file-url\): It needs a folder where an earlier/,
    ],
    [
      'a folder in place of a file',
      [file('a.txt/b'), remote(null)],
      /^Volume 2 of 2 \(zip-url\): It has a file where an/,
    ],
    ['a missing file', [file('a', '/status/404')], /^Volume \(file-url\): Input could not be fetched: .* status 404$/],
    ['a forbidden zip', [file('a'), remote(null, '/status/403')], /^Volume 2 of 2 \(zip-url\): .* status 403$/],
    ['a file that is no zip', [file('a'), remote('b', '/file')], /^Volume 2 of 2 \(zip-url\): Input zip is broken: /],
    [
      'a text that is no base64',
      [{ kind: 'inline-zip', base64: '%', folder: 'a' }],
      /^Volume \(inline-zip\): .* base64$/,
    ],
    ['a single zip for /volume itself, as ever', [remote('', '/status/404')], /^Input could not be fetched: .* 404$/],
  ] as [string, Volume[], string | RegExp][])('%s', async (_, volumes, why) => {
    expect(await loaded(volumes)).toEqual(typeof why === 'string' ? why : expect.stringMatching(why))
  })

  test('a private target, without its secret', async () => {
    const secret = file('a', '/?signature=5eCret')
    const why = await loaded([secret, secret], { allowPrivate: false })
    expect(why).toBe('Volume 1 of 2 (file-url): Input URL refused: it points into a private network')
  })

  test('contents that differ from their directory, when they are unpacked', async () => {
    const broken = rawZip([{ name: 'b', contents: 'x', claimed: { crc: 1 } }]).toString('base64')
    const volumes: Volume[] = [file('a'), { kind: 'inline-zip', base64: broken, folder: null }]
    const why = 'Volume 2 of 2 (inline-zip): Input zip is broken: the checksum of an entry is wrong'
    expect(await loaded(volumes)).toBe(why)
  })
})

describe('shares the limits between all volumes', () => {
  const large = (size: number, folder: string) => inline({ a: 'x'.repeat(size) }, folder)
  const BYTES = /all volumes together may have 10000 bytes: VOLUME_MAX_SIZE_BYTES\)$/
  const FILES = /all volumes together may have 4 files and folders: VOLUME_MAX_FILES\)$/

  test.each([
    ['unpacked zips', async () => [await large(6_000, 'a'), await large(6_000, 'b')]],
    ['files', async () => [await large(9_000, 'a'), file('b', '/chunks')]],
    ['one file', async () => [file('b', '/chunks')]],
    ['what is replaced later', async () => [await large(6_000, 'a'), await large(6_000, 'a')]],
  ])('in bytes: %s', async (_, volumes) => {
    const why = await loaded(await volumes(), { maxBytes: 10_000 })
    expect(why).toEqual(expect.stringMatching(BYTES))
    expect(why).toEqual(expect.stringContaining('Input volume too large'))
  })

  test('in bytes: zips as they come', async () => {
    const stored = rawZip([{ name: 'a', contents: 'x' }], { prefix: Buffer.alloc(6_000), counted: true })
    const volume = { kind: 'inline-zip' as const, base64: stored.toString('base64'), folder: 'a' }
    expect(await loaded([volume], { maxBytes: 10_000 })).toEqual({ a: null, 'a/a': 'x' })
    expect(await loaded([volume, { ...volume, folder: 'b' }], { maxBytes: 10_000 })).toEqual(
      expect.stringMatching(BYTES),
    )
  })

  test.each([
    ['files', async () => [await inline({ a: '', b: '' }), file('c'), file('d'), file('e')]],
    ['files of the next zip', async () => [await inline({ a: '', b: '' }), await inline({ c: '', d: '', e: '' })]],
    ['folders of a path', async () => [file('a/b/c/d/e')]],
    ['volumes', async () => Array.from({ length: 5 }, () => file('a'))],
  ])('in files and folders: %s', async (_, volumes) => {
    expect(await loaded(await volumes(), { maxEntries: 4 })).toEqual(expect.stringMatching(FILES))
  })

  test('and takes what just fits', async () => {
    const volumes = [await inline({ a: '', b: '' }), file('c/d')]
    expect(await loaded(volumes, { maxEntries: 4 })).toMatchObject({ a: '', b: '', 'c/d': 'file /file' })
    expect(await loaded([await large(5_000, 'a'), await large(5_000, 'b')], { maxBytes: 10_000 })).toHaveProperty('b/a')
  })

  test('and opens no more than a hundred zips', async () => {
    const why = await loaded(Array.from({ length: 101 }, () => remote(null)))
    expect(why).toBe('The job has 101 zips as volumes; at most 100 are loaded')
  })
})

test('whatever folders and paths a job names, all files lie below /volume', async () => {
  const part = fc.constantFrom('a', 'b', '..', '.', '', '\\', '\0', 'x'.repeat(256))
  const path = fc.array(part, { maxLength: 5 }).map(parts => parts.join('/'))
  const base64 = await zipBase64({ a: 'zip', 'b/a': 'zip' })
  const volume = fc.oneof(
    path.map((folder): Volume => ({ kind: 'inline-zip', base64, folder })),
    path.map((path): Volume => file(path)),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(volume, { minLength: 1, maxLength: 4 }), async volumes => {
      const found = await loaded(volumes)
      for (const path of typeof found === 'string' ? [] : Object.keys(found)) {
        expect(path).toMatch(/^[ab](\/[ab])*$/)
      }
    }),
    { numRuns: 200 },
  )
})

test('no volume makes a link through which a later one could write', async () => {
  const link = rawZip([{ name: 'a', mode: 0o120777, contents: '/etc' }]).toString('base64')
  const volumes: Volume[] = [{ kind: 'inline-zip', base64: link, folder: 'b' }, file('b/a/passwd')]
  expect(await loaded(volumes)).toBe('Volume 1 of 2 (inline-zip): Input zip holds a symbolic link')
})

test('whatever zips a job lays over each other, all files lie below their folders', async () => {
  const part = fc.constantFrom('a', 'b', '..', '.', '', '\\', '/', 'C:', '\0')
  const entry = fc.record({
    name: fc.array(part, { minLength: 1, maxLength: 4 }).map(parts => parts.join('/')),
    mode: fc.constantFrom(undefined, 0o100644, 0o120777, 0o040755),
    contents: fc.constant('x'),
  })
  const zip = fc.record({ folder: fc.constantFrom('a', 'b', 'a/b'), entries: fc.array(entry, { maxLength: 3 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(zip, { minLength: 1, maxLength: 3 }), async zips => {
      const volumes = zips.map(({ folder, entries }): Volume => {
        const known = entries.map(({ mode, ...rest }) => (mode === undefined ? rest : { ...rest, mode }))
        return { kind: 'inline-zip', base64: rawZip(known).toString('base64'), folder }
      })
      const found = await loaded(volumes)
      for (const path of typeof found === 'string' ? [] : Object.keys(found)) {
        expect(path).toMatch(/^[ab](\/[^/\\\0]+)*$/)
        expect(path.split('/')).not.toContain('..')
        expect(
          zips.some(({ folder }) => path === folder || path.startsWith(`${folder}/`) || folder.startsWith(`${path}/`)),
        ).toBe(true)
      }
    }),
    { numRuns: 300 },
  )
})
