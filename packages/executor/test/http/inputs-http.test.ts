import { once } from 'node:events'
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import { TestCertificate } from '@horde/testing/certificates'
import { WAIT_MS } from '@horde/testing/limits'
import { TestWeb } from '@horde/testing/peers/http-target'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RetryDeps } from '../../src/http/retry.ts'
import { fetchUrl } from '../../src/inputs/files/fetch-url.ts'
import { type TestLimits, volumeDeps } from '../inputs/volume-deps.ts'
import { SkippedPauses } from './skipped-pauses.ts'

const NEVER = new AbortController().signal
/** The first pause fits into the time-out, the second does not. */
const TWO_TRIES_MS = 1_200
const BODY = 'as good as a zip'
const TOO_LARGE = 'Input volume too large'
const NOT_FETCHED = 'Input could not be fetched: '
const PRIVATE = 'Input URL refused: it points into a private network'
const ENDLESS_PIECE = Buffer.alloc(65_536)
const HEAD = 'HTTP/1.1 200 OK\r\nConnection: close\r\n'

let web: TestWeb
let folder: string
let requests: IncomingMessage[] = []

/** By path. Handlers use `request.socket` for answers that no proper server sends. */
const answers: Record<string, (request: IncomingMessage, response: ServerResponse) => unknown> = {
  '/good': (_, response) => response.end(BODY),
  '/loop': (_, response) => response.writeHead(302, { Location: '/loop' }).end(),
  '/inward': (_, response) => response.writeHead(307, { Location: 'http://169.254.169.254/latest/' }).end(),
  '/file': (_, response) => response.writeHead(301, { Location: 'file:///etc/passwd' }).end(),
  '/other-scheme': (_, response) => response.writeHead(301, { Location: 'gopher://127.0.0.1/' }).end(),
  '/nonsense': (_, response) => response.writeHead(302, { Location: 'http://[' }).end(),
  '/nowhere': (_, response) => response.writeHead(302).end(),
  '/compressed': (_, response) => response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(BODY),
  '/identity': (_, response) => response.writeHead(200, { 'Content-Encoding': 'Identity' }).end(BODY),
  '/short': (_, response) => response.writeHead(200, { 'Content-Length': 99 }).end(BODY),
  '/long': ({ socket }) => socket.end(`${HEAD}Content-Length: 4\r\n\r\n${BODY}`),
  '/boasts': (_, response) => response.writeHead(200, { 'Content-Length': '999999999' }).write('PK'),
  '/bare': ({ socket }) => socket.end(`HTTP/1.0 200 OK\r\n\r\n${BODY}`),
  '/both': ({ socket }) => socket.end(`${HEAD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  '/no-http': ({ socket }) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
  '/headers': ({ socket }) => socket.end(`${HEAD}${'X-More: and more\r\n'.repeat(5_000)}\r\n`),
  '/reset': ({ socket }) => socket.resetAndDestroy(),
  '/upgrade': ({ socket }) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nand so on')
  },
  '/silent': () => {},
  '/endless': (_, response) => {
    const more = () => {
      while (response.writable && response.write(ENDLESS_PIECE));
    }
    response.on('drain', more)
    more()
  },
  '/slow': (_, response) => {
    const timer = setInterval(() => response.write('P'), 20)
    response.once('close', () => clearInterval(timer))
  },
  '/cut': (_, response) => {
    response.writeHead(200, { 'Content-Length': 99 })
    response.write(BODY, () => response.socket?.resetAndDestroy())
  },
  '/cut-once': (request, response) => {
    const isFirst = requests.length === 1
    const answer = answers[isFirst ? '/cut' : '/good']
    answer?.(request, response)
  },
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inputs-http-'))
  web = await TestWeb.start((request, response) => {
    requests.push(request)
    const { pathname } = new URL(request.url ?? '', 'http://x')
    const status = /^\/status\/(\d+)$/.exec(pathname)?.[1]
    const answer = answers[pathname]
    if (status) response.writeHead(Number(status)).end()
    else if (answer) answer(request, response)
    else response.writeHead(404).end()
  })
})
beforeEach(() => {
  requests = []
})
afterAll(async () => {
  await web[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

/** Returns what was fetched from a URL, or the reason why it was not. */
async function outcomeOf(
  url: string,
  limits: Partial<TestLimits> = {},
  signal = AbortSignal.timeout(WAIT_MS),
  deps: RetryDeps = new SkippedPauses(TWO_TRIES_MS),
) {
  const all = { maxBytes: 1_000_000, maxEntries: 1_000, allowPrivate: true, ...limits }
  try {
    return await readFile(await fetchUrl(url, volumeDeps(folder, all, deps), signal), 'utf8')
  } catch (error) {
    return (error as Error).message
  }
}

describe('what a server may do', () => {
  test.each([
    ['/good', BODY],
    ['/identity', BODY],
    ['/bare', BODY],
    ['/long', BODY.slice(0, 4)],
    ['/cut-once', BODY],
  ])('%s: fetched', async (path, body) => {
    expect(await outcomeOf(web.url(path))).toBe(body)
  })

  test.each([
    ['/status/400', 1, `${NOT_FETCHED}the server answered with status 400`],
    ['/status/403', 1, `${NOT_FETCHED}the server answered with status 403`],
    ['/status/410', 1, `${NOT_FETCHED}the server answered with status 410`],
    ['/status/501', 1, `${NOT_FETCHED}the server answered with status 501`],
    ['/status/404', 1, `${NOT_FETCHED}the server answered with status 404`],
    ['/status/304', 1, `${NOT_FETCHED}the server answered with status 304`],
    ['/status/206', 1, `${NOT_FETCHED}the server answered with status 206`],
    ['/status/204', 1, `${NOT_FETCHED}the server answered with status 204`],
    ['/status/300', 1, `${NOT_FETCHED}the server answered with status 300`],
    ['/nowhere', 1, `${NOT_FETCHED}the server answered with status 302`],
    ['/loop', 6, `${NOT_FETCHED}more than 5 redirects`],
    ['/file', 1, 'Input URL refused: only http and https are allowed'],
    ['/other-scheme', 1, 'Input URL refused: only http and https are allowed'],
    ['/nonsense', 1, 'Input URL refused: its redirect is not a URL'],
    ['/compressed', 1, `${NOT_FETCHED}the server compressed it without being asked`],
    ['/upgrade', 1, `${NOT_FETCHED}the server answered with status 101`],
    ['/boasts', 1, TOO_LARGE],
    ['/endless', 1, TOO_LARGE],
  ])('%s: requested %d times, then %s', async (path, times, why) => {
    expect(await outcomeOf(web.url(path))).toBe(why)
    expect(requests).toHaveLength(times)
  })

  test.each([
    ['/status/408', 'the server answered with status 408'],
    ['/status/425', 'the server answered with status 425'],
    ['/status/429', 'the server answered with status 429'],
    ['/status/500', 'the server answered with status 500'],
    ['/status/502', 'the server answered with status 502'],
    ['/status/503', 'the server answered with status 503'],
    ['/status/504', 'the server answered with status 504'],
    ['/short', 'the connection failed (ECONNRESET)'],
    ['/cut', 'the connection failed (ECONNRESET)'],
    ['/reset', 'the connection failed (ECONNRESET)'],
    ['/no-http', 'the connection failed (HPE_INVALID_CONSTANT)'],
    ['/headers', 'the connection failed (HPE_HEADER_OVERFLOW)'],
    ['/both', expect.stringMatching(/^the connection failed \(HPE_/)],
  ])('%s: retried once, then %s', async (path, why) => {
    const outcome = await outcomeOf(web.url(path))
    expect(outcome.slice(0, NOT_FETCHED.length)).toBe(NOT_FETCHED)
    expect(outcome.slice(NOT_FETCHED.length)).toEqual(why)
    expect(requests).toHaveLength(2)
  })

  test.each(['/silent', '/slow'])('%s: gives up at the deadline and closes the connection', async path => {
    const closed = Promise.withResolvers<void>()
    const request = outcomeOf(web.url(path), {}, AbortSignal.timeout(500))
    while (requests.length === 0) await new Promise(setImmediate)
    requests[0]?.socket.once('close', () => closed.resolve())
    expect(await request).toMatch(/timeout/)
    await closed.promise
    expect(requests).toHaveLength(1)
  })

  test('gives up at the deadline during a pause', async () => {
    const stop = new AbortController()
    const deps = { clock: manualClock(), msLeft: () => 60_000, log: createLog('test', { level: 'silent' }) }
    const outcome = outcomeOf('http://127.0.0.1:1/', {}, stop.signal, deps)
    await deps.clock.whenSleeping()
    stop.abort(new Error('enough'))
    expect(await outcome).toBe('enough')
  })
})

describe('a server that is busy', () => {
  const HALF_AN_HOUR_S = 1_800

  test.each([
    ['in seconds', () => ({ 'Retry-After': String(HALF_AN_HOUR_S) })],
    ['by a date', () => ({ 'Retry-After': new Date(Date.now() + HALF_AN_HOUR_S * 1_000 + 999).toUTCString() })],
  ])('is asked again as it says %s', async (_, headers) => {
    const hour = new SkippedPauses(3_600_000)
    await using web = await TestWeb.start((_, response) => {
      if (web.requests.length === 1) response.writeHead(429, headers()).end()
      else response.end(BODY)
    })
    expect(await outcomeOf(web.url('/'), {}, NEVER, hour)).toBe(BODY)
    expect(hour.pauses).toHaveLength(1)
    // The header has whole seconds, and the date is read a moment after it is written.
    expect(hour.pauses[0]).toBeGreaterThan((HALF_AN_HOUR_S - 60) * 1_000)
    expect(hour.pauses[0]).toBeLessThan((HALF_AN_HOUR_S + 2) * 1_000)
  })

  test('is asked again until it succeeds', async () => {
    await using web = await TestWeb.start((_, response) => {
      if (web.requests.length < 10) response.writeHead(503).end()
      else response.end(BODY)
    })
    expect(await outcomeOf(web.url('/'), {}, NEVER, new SkippedPauses(300_000))).toBe(BODY)
  })

  test.each([
    ['text/html; charset=utf-8', [`<b>no</b>${'x'.repeat(191)}`]],
    ['application/problem+json', [`<b>no</b>${'x'.repeat(191)}`]],
    ['application/octet-stream', []],
  ])('logs its status at info, and the beginning of its text at debug: %s', async (type, texts) => {
    await using web = await TestWeb.start((_, response) => {
      response.writeHead(403, { 'Content-Type': type }).end(`<b>no</b>${'x'.repeat(5_000)}`)
    })
    const deps = new SkippedPauses()
    await outcomeOf(web.url('/?signature=abc'), {}, NEVER, deps)
    expect(deps.lines.filter(({ level }) => level === 'info')).toMatchObject([
      { status: 403, msg: 'the download failed' },
    ])
    expect(deps.lines.filter(({ level }) => level === 'debug').map(({ text }) => text)).toEqual(texts)
    expect(JSON.stringify(deps.lines)).not.toContain('signature')
  })

  test('does not wait for the end of an endless error text', async () => {
    await using web = await TestWeb.start((_, response) => {
      response.writeHead(403, { 'Content-Type': 'text/plain' }).write('x'.repeat(1_000))
    })
    expect(await outcomeOf(web.url('/'), {}, NEVER)).toBe(`${NOT_FETCHED}the server answered with status 403`)
  })
})

describe('the request', () => {
  test('names the sender and asks for no compression', async () => {
    await outcomeOf(web.url('/good'))
    expect(requests[0]?.headers).toMatchObject({
      'user-agent': 'compute-horde-executor',
      'accept-encoding': 'identity',
    })
  })

  test('sends name and password of the URL only to their own server', async () => {
    await using other = await TestWeb.start((_, response) => {
      response.writeHead(302, { Location: web.url('/good') }).end()
    })
    expect(await outcomeOf(web.url('/good').replace('//', '//me:secret@'))).toBe(BODY)
    expect(requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:secret').toString('base64')}`)
    expect(await outcomeOf(other.url('/').replace('//', '//me:secret@'))).toBe(BODY)
    expect(requests[1]?.headers.authorization).toBeUndefined()
  })

  test('does not blame the server for a full disk', async () => {
    const full = await mkdtemp(join(folder, 'full-'))
    await symlink('/dev/full', join(full, '0'))
    const limits = { maxBytes: 1_000_000, maxEntries: 1_000, allowPrivate: true }
    const fetched = fetchUrl(web.url('/good'), volumeDeps(full, limits, new SkippedPauses()), NEVER)
    await expect(fetched).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(requests).toHaveLength(1)
  })
})

describe('private targets', () => {
  test.each([
    '127.0.0.1',
    '127.0.0.1.',
    '127.1',
    '0x7f.1',
    '0177.0.0.1',
    '2130706433',
    '0x7f000001',
    '%31%32%37.0.0.1',
    '127。0。0。1',
    '0.0.0.0',
    '0',
    'localhost',
    'LOCALHOST',
    'user:password@127.0.0.1',
    '8.8.8.8@127.0.0.1',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    '169.254.169.254',
    '10.0.0.1',
    '[fd00::1]',
    '[fe80::1]',
  ])('%s is refused', async host => {
    expect(await outcomeOf(web.url('/good', host), { allowPrivate: false })).toBe(PRIVATE)
    expect(requests).toHaveLength(0)
  })
})

test.each(['%ff:password', 'user:%', '%e:0', '%4:1%'])('a URL for %s@… is refused', async login => {
  expect(await outcomeOf(web.url('/good').replace('//', `//${login}@`))).toBe(
    'Input URL refused: its user name or password is badly encoded',
  )
  expect(requests).toHaveLength(0)
})

test('refuses a server with an untrusted certificate at once', async () => {
  using certificate = new TestCertificate()
  let connections = 0
  const server = createHttps(certificate, (_, response) => {
    response.writeHead(302, { Location: web.url('/good') }).end()
  })
  server.on('connection', () => {
    connections += 1
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
  expect(await outcomeOf(url)).toBe(`${NOT_FETCHED}the server's certificate is not valid (DEPTH_ZERO_SELF_SIGNED_CERT)`)
  expect(connections).toBe(1)
  server.closeAllConnections()
  server.close()
})
