/** The cache of downloaded inputs, which the executors of a host share. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, lstat, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Volume } from '@horde/protocol/job/volumes'
import { serveFile } from '@horde/testing/hub/serve-file'
import { TestHub } from '@horde/testing/hub/test-hub'
import { zipBytes } from '@horde/testing/jobs/executor-job'
import { TestWeb } from '@horde/testing/peers/http-target'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openInputCache } from '../../src/inputs/cache/input-cache.ts'
import { fileDigest } from '../../src/inputs/files/file-digest.ts'
import { SkippedPauses } from '../http/skipped-pauses.ts'
import { packed } from './packed.ts'

const HOUR_MS = 3_600_000
const FILL_CACHE = fileURLToPath(new URL('./fill-cache.ts', import.meta.url))
const SECRET = '?signature=5eCret'

let folder: string
let retries: SkippedPauses
let web: TestWeb
/** What the server has, by path. */
let served: Record<string, { contents: Buffer; etag: string | undefined }>
/** The ETag that each request asked for. */
let asked: (string | undefined)[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'input-cache-'))
  retries = new SkippedPauses()
  served = {}
  asked = []
  web = await TestWeb.start((request, response) => {
    asked.push(request.headers['if-none-match'])
    const file = served[new URL(request.url ?? '', 'http://x').pathname]
    if (file === undefined) response.writeHead(403).end()
    else serveFile(file, request, response)
  })
})
afterEach(async () => {
  await web[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

const file = (path: string, query = ''): Volume => ({ kind: 'file-url', url: web.url(`${path}${query}`), path: 'a' })

const open = (maxBytes = 1_000_000, path = folder) =>
  openInputCache(
    { INPUT_CACHE_FOLDER: path, INPUT_CACHE_MAX_BYTES: maxBytes, INPUT_CACHE_MAX_AGE_SECONDS: 3_600 },
    retries,
  )

/** The names of all that is in the cache, but for the marks of the last look at it. */
const names = async () => (await readdir(folder)).filter(name => !['looked', 'added'].includes(name))

/** What a job gets, with a cache opened for it. */
async function loaded(volume: Volume, maxBytes?: number) {
  return packed([volume], { cache: await open(maxBytes), retries })
}

/** The paths of the contents in the cache, the least recently used first. */
async function contents(): Promise<string[]> {
  const all = (await names()).filter(name => name.startsWith('contents-'))
  const files = await Promise.all(all.map(async name => ({ name, at: (await stat(join(folder, name))).mtimeMs })))
  return files.sort((a, b) => a.at - b.at).map(({ name }) => join(folder, name))
}

/** Makes everything in the cache look as if it was last used so long ago. */
async function age(ms: number): Promise<void> {
  const at = new Date(Date.now() - ms)
  for (const name of await readdir(folder)) await utimes(join(folder, name), at, at)
}

test('is off without its setting', async () => {
  const off = { INPUT_CACHE_FOLDER: undefined, INPUT_CACHE_MAX_BYTES: 1, INPUT_CACHE_MAX_AGE_SECONDS: 1 }
  expect(await openInputCache(off, retries)).toBeUndefined()
})

test('gives a job what its server says is unchanged', async () => {
  served['/a'] = { contents: Buffer.from('one'), etag: '"v1"' }
  served['/a.zip'] = { contents: await zipBytes({ a: 'zipped' }), etag: '"v1"' }
  const zip: Volume = { kind: 'zip-url', url: web.url('/a.zip'), folder: null }
  for (let jobs = 0; jobs < 2; jobs += 1) {
    expect(await loaded(file('/a'))).toEqual({ a: 'one' })
    expect(await loaded(zip)).toEqual({ a: 'zipped' })
  }
  expect(asked).toEqual([undefined, undefined, '"v1"', '"v1"'])
  expect(await contents()).toHaveLength(2)
})

test('downloads what changed, or was never there', async () => {
  served['/a'] = { contents: Buffer.from('one'), etag: '"v1"' }
  await loaded(file('/a'))
  served['/a'] = { contents: Buffer.from('two'), etag: '"v2"' }
  expect(await loaded(file('/a'))).toEqual({ a: 'two' })
  served['/b'] = { contents: Buffer.from('other'), etag: '"v2"' }
  expect(await loaded(file('/b'))).toEqual({ a: 'other' })
  expect(await loaded(file('/a'))).toEqual({ a: 'two' })
  expect(asked).toEqual([undefined, '"v1"', undefined, '"v2"'])
})

test('asks the server each time whether a job may have it', async () => {
  served['/a'] = { contents: Buffer.from('one'), etag: '"v1"' }
  await loaded(file('/a'))
  served = {}
  expect(await loaded(file('/a'))).toMatch(/the server answered with status 403$/)
})

test.each([undefined, 'W/"v1"'])('keeps nothing that the server names by the ETag %s', async etag => {
  served['/a'] = { contents: Buffer.from('one'), etag }
  expect(await loaded(file('/a'))).toEqual({ a: 'one' })
  expect(await names()).toEqual([])
})

test('has no secret of a URL in a name, a file or the log', async () => {
  served['/a'] = { contents: Buffer.from('one'), etag: '"v1"' }
  for (let jobs = 0; jobs < 2; jobs += 1) await loaded(file('/a', SECRET))
  expect(asked).toEqual([undefined, '"v1"'])
  const found = await readdir(folder)
  const texts = await Promise.all(found.map(name => readFile(join(folder, name), 'utf8')))
  expect(JSON.stringify([found, texts, retries.lines])).not.toContain('5eCret')
  // The same address with another signature may be another user's.
  await loaded(file('/a', '?signature=other'))
  expect(asked.at(-1)).toBeUndefined()
})

test('keeps contents for its user alone, and for reading', async () => {
  served['/a'] = { contents: Buffer.from('one'), etag: '"v1"' }
  await loaded(file('/a'))
  const [path = ''] = await contents()
  expect((await stat(path)).mode & 0o777).toBe(0o400)
})

describe('does not trust what is damaged', () => {
  const damages: [string, (path: string) => Promise<unknown>][] = [
    ['changed', path => rm(path).then(() => writeFile(path, 'two', { mode: 0o400 }))],
    ['cut off', path => rm(path).then(() => writeFile(path, 'on', { mode: 0o400 }))],
    ['a link', path => rm(path).then(() => symlink('/etc/passwd', path))],
    ['writable for others', path => chmod(path, 0o666)],
    ['gone', path => rm(path)],
  ]
  test.each(damages)('%s', async (_, damage) => {
    served['/a'] = { contents: Buffer.from('one'), etag: '"v1"' }
    await loaded(file('/a'))
    for (const path of await contents()) await damage(path)
    expect(await loaded(file('/a'))).toEqual({ a: 'one' })
    expect(await loaded(file('/a'))).toEqual({ a: 'one' })
    expect(asked).toEqual([undefined, undefined, '"v1"'])
  })

  test.each(['', '{', '{}', '{"etag":"x\\r\\nX: y","digest":"a","size":1}', 'null'])('a record %j', async record => {
    served['/a'] = { contents: Buffer.from('one'), etag: '"v1"' }
    await loaded(file('/a'))
    for (const name of await readdir(folder)) {
      if (name.startsWith('record-')) await writeFile(join(folder, name), record)
    }
    expect(await loaded(file('/a'))).toEqual({ a: 'one' })
    expect(asked).toEqual([undefined, undefined])
  })

  test('a folder to which others may write', async () => {
    await chmod(folder, 0o777)
    expect(await open()).toBeUndefined()
    expect(retries.lines.map(({ msg }) => msg)).toEqual([
      'the cache of inputs cannot be used; every job downloads its own',
    ])
  })
})

describe('stays within its bounds', () => {
  const put = (name: string, size: number) => {
    served[name] = { contents: Buffer.alloc(size, name), etag: '"v1"' }
  }

  test('in bytes, by removing what was not used for longest', async () => {
    for (const name of ['/a', '/b', '/c']) put(name, 30_000)
    await loaded(file('/a'), 80_000)
    await loaded(file('/b'), 80_000)
    await age(60_000)
    await loaded(file('/a'), 80_000)
    await loaded(file('/c'), 80_000)
    expect(await contents()).toHaveLength(2)
    asked = []
    for (const name of ['/a', '/c', '/b']) await loaded(file(name), 80_000)
    expect(asked).toEqual(['"v1"', '"v1"', undefined])
  })

  test('by keeping nothing that is larger', async () => {
    put('/a', 30_000)
    expect(await loaded(file('/a'), 20_000)).toHaveProperty('a')
    expect(await contents()).toEqual([])
  })

  test('although each executor adds only a little', async () => {
    for (let executors = 0; executors < 60; executors += 1) {
      put(`/${executors}`, 30_000)
      await loaded(file(`/${executors}`), 1_000_000)
    }
    const sizes = await Promise.all((await names()).map(async name => (await lstat(join(folder, name))).size))
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(1_000_000)
    expect((await contents()).length).toBeGreaterThan(25)
  })

  test('with many small files', async () => {
    for (let index = 0; index < 20; index += 1) {
      put(`/${index}`, 10)
      await loaded(file(`/${index}`), 40_000)
    }
    expect((await names()).length).toBeLessThanOrEqual(9)
  })

  test('in age', async () => {
    put('/a', 100)
    await loaded(file('/a'))
    await age(HOUR_MS + 60_000)
    await open()
    expect(await names()).toEqual([])
  })

  test('with a look at all of it every ten minutes', async () => {
    put('/a', 100)
    await loaded(file('/a'))
    const [path = ''] = await contents()
    const old = new Date(Date.now() - 2 * HOUR_MS)
    await utimes(path, old, old)
    await open()
    expect(await contents()).toEqual([path])
    await utimes(join(folder, 'looked'), old, old)
    await open()
    expect(await contents()).toEqual([])
  })

  test('although an executor was killed while it wrote', async () => {
    await writeFile(join(folder, '.unfinished-1'), 'half')
    await writeFile(join(folder, '.unfinished-2'), 'half')
    const long = new Date(Date.now() - 2 * HOUR_MS)
    await utimes(join(folder, '.unfinished-1'), long, long)
    await open()
    // The other one may still be written.
    expect(await names()).toEqual(['.unfinished-2'])
  })
})

test('serves executors that use it at once, also while it removes', async () => {
  const paths = Array.from({ length: 6 }, (_, index) => `/${index}`)
  for (const name of paths) served[name] = { contents: Buffer.alloc(20_000, name), etag: '"v1"' }
  const jobs = Array.from({ length: 60 }, (_, index) => paths[index % paths.length] ?? '')
  const outcomes = await Promise.all(jobs.map(name => loaded(file(name), 70_000)))
  expect(outcomes).toEqual(jobs.map(name => ({ a: served[name]?.contents.toString() })))
  const left = await names()
  expect(left.filter(name => name.startsWith('.'))).toEqual([])
  await loaded(file('/0'), 70_000)
  const sizes = await Promise.all((await contents()).map(async path => (await lstat(path)).size))
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(70_000)
})

test.each([
  ['by links', tmpdir()],
  // A copy takes longer, so that some are cut off.
  ['by copies', '/dev/shm'],
])('has only whole contents after executors were killed at any moment: %s', async (_, above) => {
  const inputs = await mkdtemp(join(above, 'fill-cache-'))
  for (let kills = 0; kills < 5; kills += 1) {
    const filler = spawn(process.execPath, [FILL_CACHE, folder, inputs], { stdio: ['ignore', 'pipe', 'inherit'] })
    const closed = once(filler, 'close')
    // It prints a dot for each input that it has kept.
    let kept = 0
    for await (const dots of filler.stdout) {
      kept += String(dots).length
      if (kept >= 3 + kills) filler.kill('SIGKILL')
    }
    await closed
  }
  await rm(inputs, { recursive: true })
  const paths = await contents()
  expect(paths.length).toBeGreaterThanOrEqual(15)
  for (const path of paths) expect(path).toBe(join(folder, `contents-${await fileDigest(path, 'sha256')}`))
  served['/a'] = { contents: Buffer.from('one'), etag: '"v1"' }
  for (let jobs = 0; jobs < 2; jobs += 1) expect(await loaded(file('/a'), 100_000_000)).toEqual({ a: 'one' })
  expect(asked).toEqual([undefined, '"v1"'])
})

test('works across file systems', async () => {
  const other = await mkdtemp('/dev/shm/input-cache-')
  try {
    served['/a'] = { contents: Buffer.from('one'), etag: '"v1"' }
    for (let jobs = 0; jobs < 2; jobs += 1) {
      expect(await packed([file('/a')], { cache: await open(1_000_000, other), retries })).toEqual({ a: 'one' })
    }
    expect(asked).toEqual([undefined, '"v1"'])
  } finally {
    await rm(other, { recursive: true })
  }
})

test('keeps files of Hugging Face over revisions, for those who may read them', async () => {
  const sent: string[] = []
  await using hub = await TestHub.start((request, response) => {
    const { url = '' } = request
    if (/^\/cdn|resolve-cache/.test(url))
      response.once('finish', () => sent.push(`${response.statusCode} ${url.at(-1)}`))
    return false
  })
  const add = (files: Record<string, string>) =>
    hub.add({ name: 'owner/secret', files, token: 'hf_secret', lfs: ['large'] })
  const volume = (token: string): Volume => {
    return {
      kind: 'hugging-face',
      repoId: 'owner/secret',
      repoType: null,
      revision: null,
      allowPatterns: null,
      token,
      folder: null,
    }
  }
  const job = async (token: string) => {
    sent.length = 0
    const deps = { cache: await open(), hub: { endpoint: hub.url, token: undefined }, retries }
    return packed([volume(token)], deps)
  }
  add({ a: '1', large: 'LFS' })
  expect(await job('hf_secret')).toEqual({ a: '1', large: 'LFS' })
  add({ a: '2', b: 'b', large: 'LFS' })
  expect(await job('hf_secret')).toEqual({ a: '2', b: 'b', large: 'LFS' })
  expect(sent.map(line => line.slice(0, 3)).toSorted()).toEqual(['200', '200', '304'])
  expect(await job('hf_secret')).toEqual({ a: '2', b: 'b', large: 'LFS' })
  expect(sent.map(line => line.slice(0, 3))).toEqual(['304', '304', '304'])
  expect(await job('hf_other')).toMatch(/status 404/)
})
