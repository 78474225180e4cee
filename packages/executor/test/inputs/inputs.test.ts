import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Volume } from '@horde/protocol/job/volumes'
import { result, zipBase64, zipBytes } from '@horde/testing/jobs/executor-job'
import { WAIT_MS } from '@horde/testing/limits'
import { TestWeb } from '@horde/testing/peers/http-target'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fetchVolumes } from '../../src/inputs/fetch-volumes.ts'
import { packInputs } from '../../src/inputs/pack-inputs.ts'
import { JobFailure } from '../../src/job/job-failure.ts'
import python from '../fixtures/python-zips.json' with { type: 'json' }
import { SkippedPauses } from '../http/skipped-pauses.ts'
import { rawZip } from '../zip/raw-zip.ts'
import { type TestLimits, volumeDeps } from './volume-deps.ts'

const NEVER = new AbortController().signal
const LOCAL = { ALLOW_PRIVATE_TARGETS: 'true' }

let miner: TestMiner
let web: TestWeb
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inputs-test-'))
  miner = await TestMiner.start()
  const zip = await zipBytes({ 'payload.txt': 'from afar' })
  web = await TestWeb.start((request, response) => {
    const path = request.url ?? ''
    const hops = /^\/hops\/(\d+)$/.exec(path)?.[1]
    if (path === '/input.zip') response.end(zip)
    else if (hops)
      response.writeHead(302, { Location: hops === '1' ? '/input.zip' : `/hops/${Number(hops) - 1}` }).end()
    else if (path === '/inward') response.writeHead(302, { Location: 'http://169.254.169.254/latest/' }).end()
    else if (path === '/huge') response.end(Buffer.alloc(300_000))
    else if (path === '/boasts') response.writeHead(200, { 'Content-Length': '999999999' }).write('PK')
    else if (path === '/slow') response.write('PK')
    else if (path === '/flaky' && web.requests.filter(line => line.endsWith('/flaky')).length === 1)
      request.socket.destroy()
    else if (path === '/busy' && web.requests.filter(line => line.endsWith('/busy')).length === 1)
      response.writeHead(429, { 'Retry-After': '1' }).end()
    else if (path === '/flaky' || path === '/busy') response.end(zip)
    else response.writeHead(404).end()
  })
})
afterAll(async () => {
  await web[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

/** Loads an input and returns the reason why it was refused. */
async function refusal(volume: Volume, limits: Partial<TestLimits> = {}): Promise<string> {
  const all = { maxBytes: 1_000_000, maxEntries: 1_000, allowPrivate: true, ...limits }
  const signal = AbortSignal.timeout(WAIT_MS)
  try {
    const deps = volumeDeps(folder, all, new SkippedPauses())
    const tar = packInputs(await fetchVolumes([volume], deps, signal), {})
    for await (const _ of tar);
    return 'accepted'
  } catch (error) {
    expect(error).toBeInstanceOf(JobFailure)
    return (error as Error).message
  }
}

/** Endless blocks of four bytes, each of which takes the time and memory of a large one. */
function slowBzip2(blocks: number): Buffer {
  const bits = [...Buffer.from(python.bzip2.text, 'base64')].map(byte => byte.toString(2).padStart(8, '0')).join('')
  const end = bits.indexOf(0x177245385090n.toString(2).padStart(48, '0'))
  const eight = bits.slice(32, end).repeat(8).match(/.{8}/g) ?? []
  const bytes = Buffer.from(eight.map(byte => Number.parseInt(byte, 2)))
  return Buffer.concat([Buffer.from('BZh9'), ...Array.from({ length: blocks / 8 }, () => bytes)])
}

/** The number of message ports to threads of this process. */
const ports = () => process.getActiveResourcesInfo().filter(kind => kind === 'MessagePort').length

const inline = (base64: string): Volume => ({ kind: 'inline-zip', base64, folder: null })
const remote = (url: string): Volume => ({ kind: 'zip-url', url, folder: null })

/** The same volumes as a miner's message has them. */
const sentInline = (contents: string) => ({ volume_type: 'inline', contents })
const sentRemote = (contents: string) => ({ volume_type: 'zip_url', contents })

describe('an input behind a URL', () => {
  test.each(['/input.zip', '/hops/5', '/flaky'])('is fetched from %s', async path => {
    expect(await refusal(remote(web.url(path)))).toBe('accepted')
  })

  test('reaches the job', async () => {
    const answer = await result(miner, { volume: sentRemote(web.url('/hops/2')) }, LOCAL)
    expect(answer).toMatchObject({ message_type: 'V0FinishedRequest', docker_process_stdout: 'from afar' })
  })

  test('reaches the job from a server that was busy at first', async () => {
    const answer = await result(miner, { volume: sentRemote(web.url('/busy')) }, LOCAL)
    expect(answer).toMatchObject({ message_type: 'V0FinishedRequest', docker_process_stdout: 'from afar' })
  })

  test.each([
    ['/missing', 'Input could not be fetched: the server answered with status 404'],
    ['/hops/6', 'Input could not be fetched: more than 5 redirects'],
    ['/huge', 'Input volume too large'],
    ['/boasts', 'Input volume too large'],
  ])('%s is refused', async (path, why) => {
    expect(await refusal(remote(web.url(path)), { maxBytes: 200_000 })).toBe(why)
  })

  test('a server that cannot be reached', async () => {
    const why = await refusal(remote('http://127.0.0.1:1/x.zip'))
    expect(why).toBe('Input could not be fetched: the connection failed (ECONNREFUSED)')
  })

  test.each(['127.0.0.1', 'localhost', '[::1]', '0x7f.1', '[::ffff:127.0.0.1]'])(
    'private targets are refused: %s',
    async host => {
      const before = web.requests.length
      const why = await refusal(remote(web.url('/input.zip', host)), { allowPrivate: false })
      expect(why).toBe('Input URL refused: it points into a private network')
      expect(web.requests.length).toBe(before)
    },
  )

  test.each([
    ['file:///etc/passwd', 'Input URL refused: only http and https are allowed'],
    ['not a url', 'Input URL refused: it is not a URL'],
  ])('%s is refused', async (url, why) => {
    expect(await refusal(remote(url))).toBe(why)
  })
})

describe('an inline input', () => {
  test.each([
    ['that is not base64', '%%%', 'Input volume is not valid base64'],
    ['that is no zip', Buffer.from('hello').toString('base64'), /^Input zip is broken: /],
    ['that is too large as it comes', 'A'.repeat(400_000), 'Input volume too large'],
  ])('%s is refused', async (_, contents, why) => {
    expect(await refusal(inline(contents), { maxBytes: 200_000 })).toEqual(
      typeof why === 'string' ? why : expect.stringMatching(why),
    )
  })

  test('with too many entries is refused', async () => {
    const contents = await zipBase64(Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`f${i}`, ''])))
    expect(await refusal(inline(contents), { maxEntries: 10 })).toBe('Input zip has too many entries')
  })

  test('is refused when its contents differ from its directory', async () => {
    const zip = await zipBytes({ 'payload.txt': 'x'.repeat(1000) })
    zip.fill(0xff, 45, 50)
    expect(await refusal(inline(zip.toString('base64')))).toMatch(/^Input zip is broken: /)
  })
})

test.each(['bzip2', 'lzma'] as const)('a zip that Python compressed by %s comes to the job', async method => {
  const answer = await result(miner, { volume: { volume_type: 'inline', contents: python[method].zip } })
  expect(answer).toMatchObject({ message_type: 'V0FinishedRequest', docker_process_stdout: 'packed by Python' })
})

test('stops unpacking at once when the archive is no longer read', async () => {
  const limits = { maxBytes: 10_000_000, maxEntries: 10, allowPrivate: true }
  const entry = { name: 'a', method: 12, packed: slowBzip2(200_000), claimed: { size: 9_000_000 } }
  const volume = inline(rawZip([entry]).toString('base64'))
  const inputs = await fetchVolumes([volume], volumeDeps(folder, limits, new SkippedPauses()), NEVER)
  const before = ports()
  const tar = packInputs(inputs, {})
  tar.resume()
  await expect.poll(ports).toBeGreaterThan(before)
  const closed = once(tar, 'close')
  tar.destroy()
  await closed
  // The thread would otherwise run for minutes.
  await expect.poll(ports).toBe(before)
})

describe('a job whose input is refused', () => {
  const failed = { message_type: 'V0FailedRequest', docker_process_exit_status: null, timeout: false }

  test('fails with the reason on its stdout: too large when unpacked', async () => {
    const files = { a: 'x'.repeat(60_000), b: 'x'.repeat(60_000) }
    const answer = await result(miner, { files }, { VOLUME_MAX_SIZE_BYTES: '100000' })
    expect(answer).toMatchObject({
      ...failed,
      docker_process_stdout: 'Input volume too large',
      docker_process_stderr: '',
    })
  })

  test('broken in the middle', async () => {
    const zip = await zipBytes({ 'payload.txt': 'x'.repeat(1000) })
    zip.fill(0xff, 45, 50)
    const answer = await result(miner, { volume: sentInline(zip.toString('base64')) })
    expect(answer).toMatchObject({ ...failed, docker_process_stdout: expect.stringMatching(/^Input zip is broken: /) })
  })

  test('while the holder is still being made', async () => {
    const answer = await result(miner, { script: 'print("never")', volume: sentInline('AAAA') })
    expect(answer).toMatchObject({ ...failed, docker_process_stdout: expect.stringMatching(/^Input zip is broken: /) })
  })

  test('private, without the setting that allows it', async () => {
    const answer = await result(miner, { volume: sentRemote(web.url('/input.zip')) })
    const why = 'Input URL refused: it points into a private network'
    expect(answer).toMatchObject({ ...failed, docker_process_stdout: why })
  })

  test('a server that never finishes', async () => {
    const answer = await result(
      miner,
      { volume: sentRemote(web.url('/slow')) },
      { ...LOCAL, INPUT_TIMEOUT_SECONDS: '1' },
    )
    expect(answer).toMatchObject({ ...failed, docker_process_stdout: 'The input was not there within 1 seconds' })
  })
})
