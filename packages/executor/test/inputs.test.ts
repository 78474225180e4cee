import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { result, zipBase64, zipBytes } from './jobs.ts'
import { TestMiner } from './miner.ts'
import { TestWeb } from './web.ts'

const LOCAL = { ALLOW_PRIVATE_TARGETS: 'true' }

let miner: TestMiner
let web: TestWeb
beforeAll(async () => {
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
    else if (path === '/flaky') response.end(zip)
    else response.writeHead(404).end()
  })
})
afterAll(async () => {
  await web[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
})

/** Runs the echo image on an input that must be refused, and gives the reason. */
async function refusal(volume: { volume_type: string; contents: string }, env: Record<string, string> = {}) {
  const answer = await result(miner, { volume }, env)
  expect(answer).toMatchObject({
    message_type: 'V0FailedRequest',
    docker_process_exit_status: null,
    timeout: false,
    docker_process_stderr: '',
  })
  return answer.docker_process_stdout
}

const inline = (contents: string) => ({ volume_type: 'inline', contents })
const remote = (contents: string) => ({ volume_type: 'zip_url', contents })

describe('an input behind a URL', () => {
  test.each(['/input.zip', '/hops/5', '/flaky'])('is fetched from %s', async path => {
    const answer = await result(miner, { volume: remote(web.url(path)) }, LOCAL)
    expect(answer).toMatchObject({ message_type: 'V0FinishedRequest', docker_process_stdout: 'from afar' })
  })

  test.each([
    ['/missing', 'Input could not be fetched: the server answered with status 404'],
    ['/hops/6', 'Input could not be fetched: more than 5 redirects'],
    ['/huge', 'Input volume too large'],
    ['/boasts', 'Input volume too large'],
  ])('%s fails the job', async (path, why) => {
    expect(await refusal(remote(web.url(path)), { ...LOCAL, VOLUME_MAX_SIZE_BYTES: '200000' })).toBe(why)
  })

  test('a server that never finishes fails the job in time', async () => {
    const why = await refusal(remote(web.url('/slow')), { ...LOCAL, INPUT_TIMEOUT_SECONDS: '1' })
    expect(why).toBe('The input was not there within 1 seconds')
  })

  test('a server that is not there fails the job', async () => {
    const why = await refusal(remote('http://127.0.0.1:1/x.zip'), LOCAL)
    expect(why).toBe('Input could not be fetched: the connection failed (ECONNREFUSED)')
  })

  test.each(['127.0.0.1', 'localhost'])('private targets are refused: %s', async host => {
    const before = web.requests.length
    expect(await refusal(remote(web.url('/input.zip', host)))).toBe(
      'Input URL refused: it points into a private network',
    )
    expect(web.requests.length).toBe(before)
  })

  test.each([
    ['file:///etc/passwd', 'Input URL refused: only http and https are followed'],
    ['not a url', 'Input URL refused: it is not a URL'],
  ])('%s is refused', async (url, why) => {
    expect(await refusal(remote(url), LOCAL)).toBe(why)
  })
})

describe('an inline input', () => {
  test('that is not base64 is refused', async () => {
    expect(await refusal(inline('%%%'))).toBe('Input volume is not valid base64')
  })

  test('that is no zip is refused', async () => {
    expect(await refusal(inline(Buffer.from('hello').toString('base64')))).toMatch(/^Input zip is broken: /)
  })

  test('that is too large as it comes is refused', async () => {
    expect(await refusal(inline('A'.repeat(4000)), { VOLUME_MAX_SIZE_BYTES: '1000' })).toBe('Input volume too large')
  })

  test('that is too large unpacked is refused before anything is unpacked', async () => {
    const contents = await zipBase64({ a: 'x'.repeat(60_000), b: 'x'.repeat(60_000) })
    expect(await refusal(inline(contents), { VOLUME_MAX_SIZE_BYTES: '100000' })).toBe('Input volume too large')
  })

  test('with too many entries is refused', async () => {
    const contents = await zipBase64(Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`f${i}`, ''])))
    expect(await refusal(inline(contents), { VOLUME_MAX_FILES: '10' })).toBe('Input zip has too many entries')
  })

  test('whose contents are not what its directory says fails the job', async () => {
    const zip = await zipBytes({ 'payload.txt': 'x'.repeat(1000) })
    zip.fill(0xff, 45, 50)
    expect(await refusal(inline(zip.toString('base64')))).toMatch(/^Input zip is broken: /)
  })
})
