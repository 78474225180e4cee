import type { HuggingFaceVolume, Volume } from '@horde/protocol/job/volumes'
import { TestHub } from '@horde/testing/hub/test-hub'
import { TestWeb } from '@horde/testing/peers/http-target'
import { describe, expect, test } from 'vitest'
import { SkippedPauses } from '../http/skipped-pauses.ts'
import { type PackedDeps, packed } from './packed.ts'

const FILES = { 'config.json': '{}', 'weights/a.bin': 'of LFS', 'weights/b.txt': 'b', 'ümlaut #1?.txt': 'u', empty: '' }
const ALL = { ...FILES, weights: null }

const volume = (parts: Partial<HuggingFaceVolume> = {}): HuggingFaceVolume => ({
  kind: 'hugging-face',
  repoId: 'owner/tiny',
  repoType: null,
  revision: null,
  allowPatterns: null,
  token: null,
  folder: null,
  ...parts,
})

async function hubWith(...files: Parameters<typeof TestHub.start>): Promise<TestHub> {
  const hub = await TestHub.start(...files)
  hub.add({ name: 'owner/tiny', files: FILES, lfs: ['weights/a.bin'] })
  return hub
}

/** What a job with these volumes gets from a hub, or why it fails. */
function loaded(hub: TestHub, volumes: Volume[], { token, ...deps }: PackedDeps & { token?: string } = {}) {
  return packed(volumes, { hub: { endpoint: hub.url, token }, ...deps })
}

describe('loads', () => {
  test('a whole repository', async () => {
    await using hub = await hubWith()
    expect(await loaded(hub, [volume()])).toEqual(ALL)
    // One look at the revision, and the list in pages.
    expect(hub.web.requests.filter(line => line.includes('/revision/'))).toHaveLength(1)
    expect(hub.web.requests.filter(line => line.includes('/tree/')).length).toBeGreaterThan(1)
  })

  test.each(['dataset', 'space'] as const)('a %s, without an owner, below a folder', async repoType => {
    await using hub = await hubWith()
    hub.add({ type: repoType, name: 'tiny', files: { 'd.csv': '1' } })
    expect(await loaded(hub, [volume({ repoId: 'tiny', repoType, folder: 'data' })])).toEqual({
      data: null,
      'data/d.csv': '1',
    })
  })

  test.each([
    [['*.json'], ['config.json']],
    [['weights/'], ['weights', 'weights/a.bin', 'weights/b.txt']],
    [
      ['*.txt', 'empty'],
      ['weights', 'weights/b.txt', 'ümlaut #1?.txt', 'empty'],
    ],
    [[], []],
  ])('what the patterns %j select', async (allowPatterns, paths) => {
    await using hub = await hubWith()
    const found = await loaded(hub, [volume({ allowPatterns })])
    expect(Object.keys(found).sort()).toEqual(paths.toSorted())
  })

  test('a branch, and the commit that it was at first', async () => {
    await using hub = await TestHub.start((request, response) => {
      // The branch moves as soon as its commit is told.
      if (request.url?.includes('/revision/'))
        response.once('finish', () => hub.removeRevision('model', 'owner/tiny', 'dev/x'))
      return false
    })
    const commit = hub.add({ name: 'owner/tiny', files: { a: 'first' }, revision: 'dev/x' })
    hub.add({ name: 'owner/tiny', files: { a: 'second' } })
    expect(await loaded(hub, [volume({ revision: 'dev/x' })])).toEqual({ a: 'first' })
    expect(await loaded(hub, [volume({ revision: commit })])).toEqual({ a: 'first' })
    expect(await loaded(hub, [volume({ revision: 'dev/x' })])).toBe(
      'Volume (hugging-face): The repository could not be fetched: the server answered with status 404; check its name, type and revision',
    )
  })

  test('a private repository, and gives the token to nobody but the hub', async () => {
    let asked: (string | undefined)[] = []
    await using hub = await TestHub.start(({ url, headers }) => {
      if (url?.startsWith('/cdn/')) asked.push(headers.authorization)
      return false
    })
    hub.add({ name: 'owner/secret', files: { a: 'a', b: 'b' }, lfs: ['a'], token: 'hf_secret' })
    const secret = (token: string | null) => volume({ repoId: 'owner/secret', token })
    expect(await loaded(hub, [secret('hf_secret')])).toEqual({ a: 'a', b: 'b' })
    expect(asked).toEqual([undefined])
    asked = []
    // The operator's token is for a job's only volume.
    expect(await loaded(hub, [secret(null)], { token: 'hf_secret' })).toEqual({ a: 'a', b: 'b' })
    const refused = /^Volume 1 of 2 \(hugging-face\): .* status 401; it may be private, or need a token with access$/
    expect(await loaded(hub, [secret(null), secret(null)], { token: 'hf_secret' })).toMatch(refused)
    expect(await loaded(hub, [secret('hf_other')], { token: 'hf_secret' })).toContain('status 404')
    expect(asked).toEqual([undefined])
  })

  test('again what broke, from where it broke', async () => {
    const contents = Buffer.alloc(500_000, 'x')
    const ranges: (string | undefined)[] = []
    let failures = 0
    await using hub = await TestHub.start((request, response) => {
      if (request.url?.includes('/revision/') && failures++ === 0) {
        response.writeHead(503).end()
        return true
      }
      if (!request.url?.startsWith('/cdn/')) return false
      ranges.push(request.headers.range)
      if (ranges.length > 1) return false
      response.writeHead(200, { ETag: `"${request.url.slice(5, 69)}"`, 'Content-Length': contents.length })
      response.write(contents.subarray(0, 200_000), () => response.socket?.end())
      return true
    })
    hub.add({ name: 'owner/tiny', files: { a: contents }, lfs: ['a'] })
    expect(await loaded(hub, [volume()])).toEqual({ a: contents.toString() })
    expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)])
  })
})

describe('refuses', () => {
  test.each([
    [{ repoId: '' }, 'Its repository has no valid name; give it as name or owner/name'],
    [{ repoId: '../admin' }, 'Its repository has no valid name; give it as name or owner/name'],
    [{ repoId: 'a/..' }, 'Its repository has no valid name; give it as name or owner/name'],
    [{ repoId: 'a/b/c' }, 'Its repository has no valid name; give it as name or owner/name'],
    [{ repoId: 'a?b' }, 'Its repository has no valid name; give it as name or owner/name'],
    [{ folder: '../x' }, 'Its folder leads out of /volume by ".."; give a relative path below /volume'],
    [{ token: 'a\r\nX: y' }, 'Its token has invalid characters'],
    [{ allowPatterns: Array(101).fill('*') }, /^It has too many or too long patterns; give at most 100/],
    [{ repoId: 'owner/none' }, /^The repository could not be fetched: .* status 401; it may be private/],
    [{ revision: '../../x' }, /status 404; check its name, type and revision$/],
  ] as [Partial<HuggingFaceVolume>, string | RegExp][])('%j', async (parts, why) => {
    await using hub = await hubWith()
    const message = await loaded(hub, [volume(parts)])
    expect(message).toMatch(/^Volume \(hugging-face\): /)
    expect(String(message).slice('Volume (hugging-face): '.length)).toEqual(
      typeof why === 'string' ? why : expect.stringMatching(why),
    )
  })

  test.each([
    ['/../up', /absolute/],
    ['../up', /leads out of \/volume/],
    ['a/./b', /The repository has a file whose path has empty or "\." parts$/],
    ['a\\b', /contains a backslash/],
  ])('a repository with the path %j', async (path, why) => {
    await using hub = await hubWith()
    hub.add({ name: 'owner/bad', files: { good: 'x', [path]: 'x' } })
    expect(await loaded(hub, [volume({ repoId: 'owner/bad' })])).toMatch(why)
  })

  test('a snapshot that is too large, before it downloads any of it', async () => {
    await using hub = await hubWith()
    hub.add({ name: 'owner/large', files: { a: 'x'.repeat(6_000), b: 'x'.repeat(6_000) }, lfs: ['b'] })
    const large = volume({ repoId: 'owner/large' })
    expect(await loaded(hub, [large], { maxBytes: 10_000 })).toMatch(
      /too large \(all volumes together may have 10000 bytes/,
    )
    expect(await loaded(hub, [large], { maxEntries: 1 })).toMatch(/has too many files; .* VOLUME_MAX_FILES\)$/)
    expect(hub.web.requests.filter(line => line.includes('/resolve/'))).toEqual([])
    expect(await loaded(hub, [volume({ ...large, allowPatterns: ['a'] })], { maxBytes: 10_000 })).toHaveProperty('a')
  })

  test.each([
    ['larger than listed', Buffer.from('larger than listed')],
    ['smaller than listed', Buffer.from('s')],
    ['another one of its size', Buffer.from('OF lfs')],
  ])('a file that is %s', async (_, sent) => {
    await using hub = await hubWith(({ url }, response) => {
      if (url?.startsWith('/cdn/')) response.end(sent)
      return url?.startsWith('/cdn/') ?? false
    })
    expect(await loaded(hub, [volume()])).toBe(
      'Volume (hugging-face): The hub sent another file than the one that it lists; try again',
    )
  })

  test('a redirect into a private network, but not the mirror itself that is in one', async () => {
    await using hub = await hubWith()
    const json = volume({ allowPatterns: ['*.json'] })
    expect(await loaded(hub, [json], { allowPrivate: false })).toEqual({ 'config.json': '{}' })
    const why = 'Volume (hugging-face): A download of the repository was refused: it points into a private network'
    expect(await loaded(hub, [volume()], { allowPrivate: false })).toBe(why)
  })

  test.each([
    ['no JSON', '<html>'],
    ['no list', '{"error":"x"}'],
    ['entries without a size', '[{"type":"file","path":"a"}]'],
    ['a negative size', '[{"type":"file","path":"a","size":-1}]'],
  ])('a hub that answers %s', async (_, answer) => {
    await using hub = await hubWith(({ url }, response) => {
      if (url?.includes('/tree/')) response.end(answer)
      return url?.includes('/tree/') ?? false
    })
    expect(await loaded(hub, [volume()])).toMatch(/^Volume \(hugging-face\): The answer of the hub could not be read/)
  })

  test('a hub whose list leads elsewhere, which gets no token', async () => {
    const asked: unknown[] = []
    await using other = await TestWeb.start(({ headers }, response) => {
      asked.push(headers.authorization)
      response.end('[]')
    })
    await using hub = await hubWith(({ url }, response) => {
      if (!url?.includes('/tree/')) return false
      response.setHeader('Link', `<${other.url('/next')}>; rel="next"`).end('[]')
      return true
    })
    expect(await loaded(hub, [volume({ token: 'hf_secret' })])).toEqual({})
    expect(asked).toEqual([undefined])
    expect(await loaded(hub, [volume()], { allowPrivate: false })).toMatch(/refused: it points into a private network$/)
  })

  test('a hub that answers without end', async () => {
    await using hub = await hubWith(({ url }, response) => {
      if (!url?.includes('/tree/')) return false
      const more = () => {
        while (response.writable && response.write(' '.repeat(65_536)));
      }
      response.on('drain', more)
      more()
      return true
    })
    expect(await loaded(hub, [volume()])).toMatch(/its answer is too long$/)
  })
})

test('logs neither tokens nor signatures', async () => {
  await using hub = await TestHub.start()
  hub.add({ name: 'owner/secret', files: { a: 'a' }, lfs: ['a'], token: 'hf_secret' })
  const retries = new SkippedPauses()
  await loaded(hub, [volume({ repoId: 'owner/secret', token: 'hf_secret' })], { retries })
  await loaded(hub, [volume({ repoId: 'owner/none', token: 'hf_secret' })], { retries })
  expect(JSON.stringify(retries.lines)).not.toMatch(/hf_secret|5eCret/)
})
