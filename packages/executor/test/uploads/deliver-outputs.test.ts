/** The uploads of a job from a tar of its /output, without a container: what is sent, and what fails before. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { FileUpload, UploadAnswer, ZipUpload } from '@horde/protocol/job/uploads'
import { WAIT_MS } from '@horde/testing/limits'
import { UploadServer } from '@horde/testing/peers/http-target'
import { type Header, pack } from 'tar-stream'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { JobFailure } from '../../src/job/job-failure.ts'
import { type DeliveryLimits, deliverOutputs } from '../../src/uploads/deliver-outputs.ts'
import { SkippedPauses } from '../http/skipped-pauses.ts'

const MIB = 1024 * 1024
const MISSING = 'A file to be uploaded is missing or not a regular file'
const TOO_LARGE = 'The answers to the uploads are too large together'
const DEEP = 'The outputs are nested too deeply'

type Entry = Partial<Header> & { name: string; text?: string }

let folder: string
let store: UploadServer
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'deliver-'))
  for (const name of ['stdout.txt', 'stderr.txt']) await writeFile(join(folder, name), `${name}'s`)
  store = await UploadServer.start((request, response) => {
    const status = /^\/(\d{3})$/.exec(request.url ?? '')?.[1]
    if (request.url === '/announced') response.setHeader('Content-Length', 11 * MIB).flushHeaders()
    else if (request.url === '/chunked') response.end(Buffer.alloc(11 * MIB))
    else if (request.url === '/large') response.end('x'.repeat(8 * MIB))
    else if (request.url === '/binary') response.end(Buffer.alloc(4 * MIB, 0xff))
    else if (status !== undefined) response.writeHead(Number(status), { Location: '/ok' }).end()
    else response.writeHead(200, { ETag: '"x"', 'Set-Cookie': ['a=1', 'b=2'] }).end('été')
  })
})
beforeEach(() => store.clear())
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

/** What is in /output of every job: two files and an empty folder. */
const PLAIN: Entry[] = [
  { name: '', type: 'directory' },
  { name: 's/', type: 'directory' },
  { name: 's/a.txt', text: 'aaa' },
  { name: 'b.bin', text: 'b', mode: 0o100640 },
  { name: 'empty/', type: 'directory' },
]

function tarOf(entries: readonly Entry[]): Readable {
  const tar = pack()
  for (const { name, text = '', ...header } of entries) tar.entry({ ...header, name: `output/${name}` } as Header, text)
  tar.finalize()
  return tar as unknown as Readable
}

const put = (path: string, url = '/ok'): FileUpload => ({ method: 'PUT', url: store.web.url(url), path, headers: {} })
const post = (path: string, url = '/ok'): FileUpload => ({ ...put(path, url), method: 'POST', formFields: { k: 'v' } })
const zip = (url = '/zip'): ZipUpload => {
  return { method: 'PUT', url: store.web.url(url), name: 'system_output', format: 'exact' }
}

interface Outcome {
  failure?: string
  answers?: Record<string, UploadAnswer>
}

async function deliver(
  entries: readonly Entry[],
  files: FileUpload[],
  zip: ZipUpload | null = null,
  limits: Partial<DeliveryLimits> = {},
): Promise<Outcome> {
  const printed = { stdoutPath: join(folder, 'stdout.txt'), stderrPath: join(folder, 'stderr.txt') }
  const outputs = { openTar: async () => tarOf([...PLAIN, ...entries]), printed, folder }
  const all = { maxZipBytes: 10_000_000, maxBytes: 10_000_000, maxFiles: 1_000, allowPrivate: true, ...limits }
  const uploads = { files, zip, afterFailure: false }
  try {
    return {
      answers: await deliverOutputs(uploads, outputs, all, new SkippedPauses(3_000), AbortSignal.timeout(WAIT_MS)),
    }
  } catch (error) {
    if (!(error instanceof JobFailure)) throw error
    return { failure: error.sentence }
  }
}

const names = async () => (await store.files('/zip')).map(([name]) => name).sort()
const ALWAYS = ['b.bin', 's/a.txt', 'stderr.txt', 'stdout.txt']
const deepFile = (folders: number): Entry => ({ name: `${'d/'.repeat(folders)}f`, text: 'x' })

describe('a single file', () => {
  test('is put with its length and without a type, and its answer comes back', async () => {
    const { answers } = await deliver([], [put('s/a.txt')])
    expect(answers).toEqual({
      's/a.txt': { headers: expect.objectContaining({ etag: '"x"', 'set-cookie': 'a=1, b=2' }), body: 'été' },
    })
    expect(store.arrived).toHaveLength(1)
    expect(store.arrived[0]?.headers).toEqual({
      'content-length': '3',
      'user-agent': 'compute-horde-executor',
      host: `127.0.0.1:${store.web.port}`,
      connection: 'close',
    })
    expect(store.arrived[0]?.zip.toString()).toBe('aaa')
  })

  test('is posted behind the fields, with its own name and type', async () => {
    await deliver([{ name: 'd/r.json', text: '{}' }], [post('d/r.json'), post('b.bin', '/other')])
    expect(store.to('/ok')?.form).toEqual(['k=v', 'file: r.json (application/json)'])
    expect(store.to('/other')?.form).toEqual(['k=v', 'file: b.bin (application/octet-stream)'])
  })

  test('has the headers that the job gives, but its own length', async () => {
    const headers = {
      'X-Amz-Meta': 'é',
      'content-length': '99',
      'Transfer-Encoding': 'chunked',
      Expect: '100-continue',
    }
    await deliver([], [{ ...put('b.bin'), headers }])
    expect(store.arrived[0]?.headers).toMatchObject({ 'x-amz-meta': 'é', 'content-length': '1' })
    expect(store.arrived[0]?.headers).not.toHaveProperty('transfer-encoding')
    for (const bad of [{ 'a b': 'x' }, { a: 'x\r\nB: y' }, { a: '\u{1f600}' }]) {
      expect(await deliver([], [{ ...put('b.bin'), headers: bad }])).toEqual({
        failure: 'A header of an upload is not valid',
      })
    }
  })

  test('may be what the job printed', async () => {
    await deliver([{ name: 'stdout.txt', text: 'forged' }], [put('stdout.txt'), put('stderr.txt', '/err')])
    expect(store.to('/ok')?.zip.toString()).toBe("stdout.txt's")
    expect(store.to('/err')?.zip.toString()).toBe("stderr.txt's")
  })

  test('is found under each of its names', async () => {
    const entries: Entry[] = [
      { name: 'x/first', text: 'linked' },
      { name: 'further', type: 'link', linkname: 'output/x/first' },
      { name: 'third', type: 'link', linkname: 'output/b.bin' },
    ]
    await deliver(entries, [put('further', '/1'), put('third', '/2'), put('b.bin', '/3')])
    expect(['/1', '/2', '/3'].map(path => store.to(path)?.zip.toString())).toEqual(['linked', 'b', 'b'])
  })

  test.each([
    ['a link out of /output', [{ name: 'x', type: 'symlink', linkname: '/etc/passwd' }], 'x'],
    ['a link inside', [{ name: 'x', type: 'symlink', linkname: 'b.bin' }], 'x'],
    ['below a linked folder', [{ name: 'x', type: 'symlink', linkname: 's' }], 'x/a.txt'],
    ['a FIFO', [{ name: 'x', type: 'fifo' }], 'x'],
    ['a folder', [], 's'],
    ['below a file', [], 'b.bin/a'],
    ['missing', [], 'none'],
  ] as [string, Entry[], string][])('that is %s fails before any request', async (_, entries, path) => {
    expect(await deliver(entries, [put('b.bin'), put(path)])).toEqual({ failure: MISSING })
    expect(store.web.requests).toEqual([])
  })

  test('may be as large as the limit', async () => {
    const big = [{ name: 'big', text: 'x'.repeat(2_000) }]
    expect(await deliver(big, [put('big')], null, { maxZipBytes: 2_000 })).toHaveProperty('answers')
    const failure = 'A file to be uploaded is too large'
    expect(await deliver(big, [put('b.bin'), put('big')], null, { maxZipBytes: 1_999 })).toEqual({ failure })
    expect(store.arrived).toHaveLength(1)
  })

  test('may be sent twice, and lie a hundred folders deep and more', async () => {
    await deliver([], [put('s/a.txt', '/1'), post('s/a.txt', '/2')])
    expect([store.to('/1')?.zip, store.to('/2')?.zip].map(String)).toEqual(['aaa', 'aaa'])
    expect(await deliver([deepFile(101)], [put(deepFile(101).name)])).toHaveProperty('answers')
  })
})

describe('the zip', () => {
  test('holds the files with their modes, stored, and no folders', async () => {
    await deliver([], [], zip())
    expect(await names()).toEqual(ALWAYS)
    expect(Object.fromEntries(await store.files('/zip'))['b.bin']).toEqual({ text: 'b', mode: 0o100640 })
    expect(store.to('/zip')?.headers).not.toHaveProperty('content-type')
    expect(store.to('/zip')?.zip.includes('aaa')).toBe(true)
  })

  test('leaves out the files that are uploaded by themselves', async () => {
    const { answers } = await deliver([], [put('s/a.txt'), put('stdout.txt', '/out')], zip())
    expect(Object.keys(answers ?? {}).sort()).toEqual(['s/a.txt', 'stdout.txt', 'system_output'])
    expect(await names()).toEqual(['b.bin', 'stderr.txt'])
  })

  test('leaves out what is no regular file', async () => {
    const entries: Entry[] = [
      { name: 'l', type: 'symlink', linkname: '/etc/passwd' },
      { name: 'f', type: 'fifo' },
      { name: 'also', type: 'link', linkname: 'output/b.bin' },
    ]
    await deliver(entries, [], zip())
    expect(await names()).toEqual(['also', ...ALWAYS])
  })

  test('holds dates that a zip can have', async () => {
    const old = { name: 'old', text: 'o', mtime: new Date(0) }
    const late = { name: 'late', text: 'l', mtime: new Date(Date.UTC(2128, 0)) }
    expect(await deliver([old, late], [], zip())).toHaveProperty('answers')
    expect(await names()).toEqual(['b.bin', 'late', 'old', 's/a.txt', 'stderr.txt', 'stdout.txt'])
  })

  test.each([
    ['1000 files', 998, [], undefined],
    ['1001 files', 999, [], 'There are too many output files'],
    ['1001 files, one of them uploaded by itself', 999, [put], undefined],
  ])('of %s', async (_, count, more, failure) => {
    const entries = Array.from({ length: count }, (_, index) => ({ name: `${index}`, text: 'x' }))
    const files = more.map(make => make('b.bin'))
    expect((await deliver(entries, files, zip())).failure).toBe(failure)
  })

  test.each([
    [100, undefined],
    [101, DEEP],
  ])('holds a file %d folders deep: %s', async (folders, failure) => {
    expect((await deliver([deepFile(folders)], [], zip())).failure).toBe(failure)
  })

  test('fails for a name that is not UTF-8, and for its size', async () => {
    const name = { name: '\ufffd', text: 'x' }
    expect(await deliver([name], [], zip())).toEqual({ failure: 'The name of an output file is not UTF-8' })
    expect(await deliver([], [], zip(), { maxZipBytes: 100 })).toEqual({
      failure: 'The zip of the outputs is too large',
    })
    expect(store.web.requests).toEqual([])
  })
})

describe('the requests', () => {
  test('stop at the first failure, and what arrived stays', async () => {
    const files = [put('b.bin', '/ok'), put('s/a.txt', '/400'), put('b.bin', '/late'), put('b.bin', '/later')]
    expect((await deliver([], files)).failure).toMatch(/status 400$/)
    expect(store.to('/ok')?.zip.toString()).toBe('b')
  })

  test.each([
    ['/302', 1, 'status 302, and uploads follow no redirects'],
    ['/403', 1, 'status 403'],
    ['/500', 3, 'status 500'],
    ['/announced', 1, 'larger than 10485760 bytes'],
    ['/chunked', 1, 'larger than 10485760 bytes'],
  ])('to %s are made %d times', async (url, tries, why) => {
    expect((await deliver([], [put('b.bin', url)])).failure).toContain(why)
    expect(store.web.requests.filter(request => request.endsWith(url))).toHaveLength(tries)
  })

  test('fail when all answers are too large for one frame', async () => {
    const files = [put('b.bin', '/large'), put('s/a.txt', '/large'), put('stdout.txt', '/large')]
    expect(await deliver([], files)).toEqual({ failure: TOO_LARGE })
  })

  test('fail when all answers are too large as UTF-8, where each byte that is no text takes three', async () => {
    expect(await deliver([], [put('b.bin', '/binary')])).toHaveProperty('answers')
    expect((await deliver([], [put('b.bin', '/binary'), put('s/a.txt', '/binary')])).failure).toBe(TOO_LARGE)
  })

  test('into a private network are refused', async () => {
    expect(await deliver([], [put('b.bin')], null, { allowPrivate: false })).toEqual({
      failure: 'Output URL refused: it points into a private network',
    })
    expect(store.web.requests).toEqual([])
  })

  test('are none when nothing is to be uploaded', async () => {
    expect(await deliver([], [])).toEqual({ answers: {} })
    expect(store.web.requests).toEqual([])
  })
})
