/** Downloads whose connections break. The received part is kept while it surely belongs to the same file. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WAIT_MS } from '@horde/testing/limits'
import { TestWeb } from '@horde/testing/peers/http-target'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fetchUrl } from '../../src/inputs/files/fetch-url.ts'
import { volumeDeps } from '../inputs/volume-deps.ts'
import { SkippedPauses } from './skipped-pauses.ts'

const MIB = 1024 * 1024
const STAGE_MS = 300_000
const OLD = 'Mon, 04 May 2026 10:00:00 GMT'

const SMALL = randomBytes(MIB)

interface Served {
  body?: Buffer
  etag?: string
  modified?: string
  /** The share of each answer that is sent before the connection is cut; 1: all of it. */
  share?: number
  /** Wrong headers for the answer to a range request. */
  claimed?: { range?: string; etag?: string; status?: number }
}

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inputs-resumed-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Answers like a web server with ranges, and `If-Range` by RFC 9110. */
function answer(request: IncomingMessage, response: ServerResponse, served: Served): void {
  const { body = SMALL, etag, modified, share = 1, claimed = {} } = served
  const { range } = request.headers
  const condition = request.headers['if-range']
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0)
  const isPart = range !== undefined && condition === (etag ?? modified)
  const rest = isPart ? body.subarray(from) : body
  const tag = isPart ? (claimed.etag ?? etag) : etag
  response.writeHead(isPart ? (claimed.status ?? 206) : 200, {
    'Accept-Ranges': 'bytes',
    'Content-Length': rest.length,
    ...(tag && { ETag: tag }),
    ...(modified && { 'Last-Modified': modified }),
    ...(isPart && { 'Content-Range': claimed.range ?? `bytes ${from}-${body.length - 1}/${body.length}` }),
  })
  response.flushHeaders()
  if (share === 1) response.end(rest)
  else if (share === 0) response.socket?.end()
  else response.write(rest.subarray(0, Math.ceil(rest.length * share)), () => response.socket?.end())
}

/** Fetches from a server whose answer depends on the number of the request, from 1. */
async function fetched(serve: (times: number) => Served, { maxBytes = 64 * MIB, stageMs = STAGE_MS } = {}) {
  const asked: (string | string[] | undefined)[][] = []
  await using web = await TestWeb.start((request, response) => {
    asked.push([request.headers.range, request.headers['if-range']])
    answer(request, response, serve(asked.length))
  })
  const deps = new SkippedPauses(stageMs)
  const volume = volumeDeps(folder, { maxBytes, maxEntries: 9, allowPrivate: true }, deps)
  const outcome = await fetchUrl(web.url('/'), volume, AbortSignal.timeout(WAIT_MS)).then(
    async path => hash(await readFile(path)),
    error => (error as Error).message,
  )
  return { outcome, asked, pauses: deps.pauses }
}

function hash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

test('fetches 60 MB from a server that cuts each connection after 40 % of the answer', async () => {
  const body = randomBytes(60_000_000)
  // The rest is sent at once when 40 % of it are a few bytes.
  const serve = (times: number) => ({ body, etag: '"v1"', share: times < 12 ? 0.4 : 1 })
  const { outcome, asked, pauses } = await fetched(serve)
  expect(outcome).toBe(hash(body))
  expect(asked).toHaveLength(12)
  const starts = asked.map(([range]) => Number(/^bytes=(\d+)-$/.exec(String(range ?? 'bytes=0-'))?.[1]))
  expect(starts).toEqual(starts.toSorted((a, b) => a - b))
  expect(new Set(starts).size).toBe(12)
  // After progress each pause is the shortest again.
  expect(Math.max(...pauses)).toBeLessThanOrEqual(1_000)
})

describe('continues where the download broke', () => {
  test.each([
    ['an ETag', { etag: '"v1"' }, '"v1"'],
    ['an ETag, whatever the date', { etag: '"v1"', modified: OLD }, '"v1"'],
    ['a date', { modified: OLD }, OLD],
  ])('by %s', async (_, facts, condition) => {
    const { outcome, asked } = await fetched(times => ({ ...facts, share: times === 1 ? 0.4 : 1 }))
    expect(outcome).toBe(hash(SMALL))
    expect(asked).toEqual([
      [undefined, undefined],
      [expect.stringMatching(/^bytes=\d+-$/), condition],
    ])
    expect(asked[1]?.[0]).not.toBe('bytes=0-')
  })

  test('and keeps the received part when a status interrupts', async () => {
    let asked = 0
    await using web = await TestWeb.start((request, response) => {
      asked += 1
      if (asked === 2) response.writeHead(503).end()
      else answer(request, response, { etag: '"v1"', share: asked === 1 ? 0.4 : 1 })
    })
    const limits = { maxBytes: MIB, maxEntries: 9, allowPrivate: true }
    const volume = volumeDeps(folder, limits, new SkippedPauses())
    const path = await fetchUrl(web.url('/'), volume, AbortSignal.timeout(WAIT_MS))
    expect(hash(await readFile(path))).toBe(hash(SMALL))
    expect(asked).toBe(3)
  })
})

describe('starts over', () => {
  test.each([
    ['without a way to recognise the file', {}],
    ['with an ETag that is weak', { etag: 'W/"v1"', modified: OLD }],
    ['with a date that is as young as the answer', { modified: new Date(Date.now() + 60_000).toUTCString() }],
  ])('%s', async (_, facts) => {
    const { outcome, asked } = await fetched(times => ({ ...facts, share: times === 1 ? 0.4 : 1 }))
    expect(outcome).toBe(hash(SMALL))
    expect(asked).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ])
  })

  test.each([MIB / 4, 2 * MIB])('when the file changed, to one of %d bytes', async size => {
    const body = randomBytes(size)
    const { outcome, asked } = await fetched(times =>
      times === 1 ? { etag: '"v1"', share: 0.4 } : { etag: '"v2"', body, share: times === 2 ? 0.9 : 1 },
    )
    expect(outcome).toBe(hash(body))
    expect(asked.map(([, condition]) => condition)).toEqual([undefined, '"v1"', '"v2"'])
  })

  test.each([
    ['another part than it was asked for', { range: `bytes 0-${MIB - 1}/${MIB}` }],
    ['a part of a file of another size', { range: `bytes 419431-${MIB}/${MIB + 1}` }],
    ['a part of another file', { etag: '"v2"' }],
    ['a part without its place', { range: 'bytes */*' }],
    ['that there is no such part', { status: 416 }],
  ])('when the server sends %s', async (_, claimed) => {
    const { outcome, asked } = await fetched(times => ({ etag: '"v1"', claimed, share: times === 1 ? 0.4 : 1 }))
    expect(outcome).toBe(hash(SMALL))
    expect(asked.map(([, condition]) => condition)).toEqual([undefined, '"v1"', undefined])
  })
})

test('counts all parts towards the limit', async () => {
  const serve = (times: number) => ({ etag: '"v1"', share: times === 1 ? 0.4 : 1 })
  expect((await fetched(serve, { maxBytes: MIB })).outcome).toBe(hash(SMALL))
  const chunked = (times: number) => ({
    etag: '"v1"',
    body: SMALL.subarray(0, times === 1 ? MIB / 2 : MIB),
    share: 0.9,
  })
  expect((await fetched(chunked, { maxBytes: MIB - 1 })).outcome).toBe('Input volume too large')
})

test('without progress pauses grow, until the stage has no time for the next one', async () => {
  const serve = (times: number) => ({ etag: '"v1"', share: times === 1 ? 0.4 : 0 })
  const { outcome, asked, pauses } = await fetched(serve, { stageMs: 7_000 })
  expect(outcome).toBe('Input could not be fetched: the connection failed (ECONNRESET)')
  // The first answer made progress. After it the pauses double, starting at half a second.
  expect(pauses.map(ms => Math.floor(ms / 500) * 500)).toEqual([500, 1_000, 2_000])
  expect(asked.slice(1)).toEqual(asked.slice(1).map(() => [asked[1]?.[0], '"v1"']))
})
