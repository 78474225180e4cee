import { once } from 'node:events'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OutputUpload } from '@horde/protocol/v0/job'
import { expectNothingLeft, job, readied, result } from '@horde/testing/jobs/executor-job'
import { WAIT_MS } from '@horde/testing/limits'
import { TestWeb, UploadServer } from '@horde/testing/peers/http-target'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RetryDeps } from '../../src/http/retry.ts'
import { JobFailure } from '../../src/job/job-failure.ts'
import { zipSending } from '../../src/uploads/deliver-outputs.ts'
import { sendUpload } from '../../src/uploads/send-upload.ts'
import { SkippedPauses } from './skipped-pauses.ts'

/** Two pauses fit into the time-out, three do not. */
const THREE_TRIES_MS = 3_000
const LOCAL = { ALLOW_PRIVATE_TARGETS: 'true' }

let miner: TestMiner
let store: UploadServer
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'uploads-test-'))
  miner = await TestMiner.start()
  store = await UploadServer.start((request, response) => {
    const failing = /^\/fails\/(\d+)\/(\d+)$/.exec(request.url ?? '')
    response.writeHead(failing && store.arrived.length <= Number(failing[1]) ? Number(failing[2]) : 200).end()
  })
})
beforeEach(() => store.clear())
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

async function uploadZip(
  path: string,
  { output_upload_type, url, form_fields }: OutputUpload,
  allowPrivate: boolean,
  deps: RetryDeps,
  signal: AbortSignal,
): Promise<void> {
  const target = { url, name: 'output.zip', format: 'portable' } as const
  const upload =
    output_upload_type === 'zip_and_http_post'
      ? { ...target, method: 'POST' as const, formFields: form_fields ?? {} }
      : { ...target, method: 'PUT' as const }
  await sendUpload(zipSending(upload, path, (await stat(path)).size), allowPrivate, deps, signal)
}

/** Uploads and returns the reason why it failed. */
async function failureOf(upload: OutputUpload, allowPrivate = true): Promise<string> {
  const path = join(folder, 'upload.zip')
  await writeFile(path, 'zipped')
  try {
    await uploadZip(path, upload, allowPrivate, new SkippedPauses(THREE_TRIES_MS), AbortSignal.timeout(WAIT_MS))
    return 'uploaded'
  } catch (error) {
    expect(error).toBeInstanceOf(JobFailure)
    return (error as Error).message
  }
}

describe('an upload', () => {
  test.each([
    ['/fails/2/408', 3, 'uploaded'],
    ['/fails/2/425', 3, 'uploaded'],
    ['/fails/2/429', 3, 'uploaded'],
    ['/fails/2/500', 3, 'uploaded'],
    ['/fails/2/502', 3, 'uploaded'],
    ['/fails/2/503', 3, 'uploaded'],
    ['/fails/2/504', 3, 'uploaded'],
    ['/fails/9/400', 1, 'Output could not be uploaded: the server answered with status 400'],
    ['/fails/9/501', 1, 'Output could not be uploaded: the server answered with status 501'],
    ['/fails/9/500', 3, 'Output could not be uploaded: the server answered with status 500'],
    ['/fails/9/403', 1, 'Output could not be uploaded: the server answered with status 403'],
    [
      '/fails/9/302',
      1,
      'Output could not be uploaded: the server answered with status 302, and uploads follow no redirects',
    ],
  ])('to %s is tried %d times', async (path, tries, outcome) => {
    expect(await failureOf(store.put(path))).toBe(outcome)
    expect(store.arrived.map(({ zip }) => zip.toString())).toEqual(Array.from({ length: tries }, () => 'zipped'))
  })

  test.each([
    ['in seconds', () => ({ 'Retry-After': '1800' })],
    ['by a date', () => ({ 'Retry-After': new Date(Date.now() + 1_800_999).toUTCString() })],
  ])('to a busy server is tried again when it says so %s', async (_, headers) => {
    const hour = new SkippedPauses(3_600_000)
    await using busy = await UploadServer.start((_, response) => {
      if (busy.arrived.length === 1) response.writeHead(429, headers()).end()
      else response.end()
    })
    const path = join(folder, 'upload.zip')
    await writeFile(path, 'zipped')
    await uploadZip(path, busy.put(), true, hour, AbortSignal.timeout(WAIT_MS))
    expect(busy.arrived.map(({ zip }) => zip.toString())).toEqual(['zipped', 'zipped'])
    expect(hour.pauses).toHaveLength(1)
    expect(hour.pauses[0]).toBeGreaterThan(1_740_000)
    expect(hour.pauses[0]).toBeLessThan(1_802_000)
  })

  test('logs the status of a refusal, and the beginning of its text at debug', async () => {
    await using strict = await UploadServer.start((_, response) => {
      response.writeHead(403, { 'Content-Type': 'application/xml' }).end(`<Code>Denied</Code>${'x'.repeat(5_000)}`)
    })
    const deps = new SkippedPauses()
    const path = join(folder, 'upload.zip')
    await writeFile(path, 'zipped')
    await uploadZip(path, strict.put(), true, deps, AbortSignal.timeout(WAIT_MS)).catch(() => {})
    expect(deps.lines).toMatchObject([
      { level: 'debug', status: 403, text: `<Code>Denied</Code>${'x'.repeat(181)}` },
      { level: 'info', status: 403, msg: 'the upload failed' },
    ])
  })

  test('is sent whole to a server that answers early', async () => {
    const size = 20_000_000
    const received = Promise.withResolvers<number>()
    await using eager = await TestWeb.start(async (request, response) => {
      response.writeHead(200).flushHeaders()
      let bytes = 0
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
      request.once('close', () => received.resolve(bytes))
      request.once('end', () => response.end())
    })
    const path = join(folder, 'large.zip')
    await writeFile(path, Buffer.alloc(size))
    const upload: OutputUpload = { output_upload_type: 'zip_and_http_put', url: eager.url('/'), form_fields: null }
    await uploadZip(path, upload, true, new SkippedPauses(), AbortSignal.timeout(WAIT_MS))
    expect(await received.promise).toBe(size)
  })

  test('fails when the server answers 200 and hangs up in the middle', async () => {
    await using rude = await TestWeb.start((request, response) => {
      response.writeHead(200, { Connection: 'close' }).flushHeaders()
      request.once('data', () => request.socket.destroy())
    })
    const path = join(folder, 'large.zip')
    await writeFile(path, Buffer.alloc(20_000_000))
    const upload: OutputUpload = { output_upload_type: 'zip_and_http_put', url: rude.url('/'), form_fields: null }
    const deps = new SkippedPauses(THREE_TRIES_MS)
    await expect(uploadZip(path, upload, true, deps, AbortSignal.timeout(WAIT_MS))).rejects.toThrow(
      /^Output could not be uploaded: the connection failed/,
    )
    expect(rude.requests).toHaveLength(3)
  })

  test('is made once to a server that closes right after its answer', async () => {
    const uploads = 300
    for (let made = 0; made < uploads; made += 1) expect(await failureOf(store.put())).toBe('uploaded')
    expect(store.arrived).toHaveLength(uploads)
  })

  test.each(['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '0x7f.1', '169.254.169.254', 'x@127.0.0.1'])(
    'into a private network is refused: %s',
    async host => {
      const why = await failureOf(store.put('/', host), false)
      expect(why).toBe('Output URL refused: it points into a private network')
      expect(store.web.requests).toHaveLength(0)
    },
  )

  test.each([
    ['ftp://example.org/', 'Output URL refused: only http and https are allowed'],
    ['file:///tmp/x', 'Output URL refused: only http and https are allowed'],
    ['', 'Output URL refused: it is not a URL'],
    ['http://%ff@127.0.0.1/', 'Output URL refused: its user name or password is badly encoded'],
  ])('to %j is refused', async (url, why) => {
    expect(await failureOf({ ...store.put(), url })).toBe(why)
  })

  test('is put with its type and length only', async () => {
    await failureOf(store.put('/where?signature=1'))
    expect(store.web.requests).toEqual(['PUT /where?signature=1'])
    expect(store.arrived[0]?.headers).toEqual({
      'content-type': 'application/zip',
      'content-length': '6',
      'user-agent': 'compute-horde-executor',
      host: `127.0.0.1:${store.web.port}`,
      connection: 'close',
    })
  })

  test.each([
    [null, []],
    [{}, []],
    [{ 'naïve ☃': 'Größe', file: 'a field' }, ['naïve ☃=Größe', 'file=a field']],
    [JSON.parse('{"__proto__":"x","constructor":"y"}'), ['__proto__=x', 'constructor=y']],
    [{ lines: 'a\r\n--b--\r\n\r\nc', 'a"; filename="b': 'x' }, ['lines=a\r\n--b--\r\n\r\nc', 'a%22; filename=%22b=x']],
  ])('is posted with the fields %j before the file', async (fields, form) => {
    expect(await failureOf(store.post(fields))).toBe('uploaded')
    expect(store.arrived[0]).toMatchObject({ method: 'POST', zip: Buffer.from('zipped') })
    expect(store.arrived[0]?.form).toEqual([...form, 'file: output.zip (application/zip)'])
  })

  test('is retried when the server is busy at first', async () => {
    const answer = await result(miner, { script: 'print("fine")', upload: store.put('/fails/1/429') }, LOCAL)
    expect(answer).toMatchObject({ message_type: 'V0FinishedRequest', docker_process_stdout: 'fine\n' })
    expect(store.arrived).toHaveLength(2)
    expect((await store.texts())['stdout.txt']).toBe('fine\n')
  })

  test('fails the job, which keeps its own exit status, when it fails', async () => {
    const answer = await result(miner, { script: 'print("fine")', upload: store.put('/fails/9/403') }, LOCAL)
    expect(answer).toMatchObject({
      message_type: 'V0FailedRequest',
      docker_process_exit_status: 0,
      docker_process_stdout: 'fine\n',
      docker_process_stderr: 'Output could not be uploaded: the server answered with status 403\n',
    })
  })
})

describe('a faulty server', () => {
  const failed = 'Output could not be uploaded: '
  const empty = 'Content-Length: 0\r\n\r\n'

  /** Uploads a large file to a server that calls this for every connection once it receives something. */
  async function tried(answer: (socket: Socket) => unknown, signal = AbortSignal.timeout(WAIT_MS)) {
    let connections = 0
    const closed: Promise<unknown>[] = []
    const server = createServer(socket => {
      connections += 1
      closed.push(new Promise(resolve => socket.once('close', resolve)))
      socket.on('error', () => {}).once('data', () => answer(socket))
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const path = join(folder, 'large.zip')
    await writeFile(path, Buffer.alloc(5_000_000))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const outcome = await uploadZip(
      path,
      { ...store.put(), url },
      true,
      new SkippedPauses(THREE_TRIES_MS),
      signal,
    ).then(
      () => 'uploaded',
      error => (error as Error).message,
    )
    await Promise.all(closed)
    server.close()
    return { outcome, connections }
  }

  test.each([
    ['refuses before it has read all', `413 Payload Too Large\r\nConnection: close\r\n${empty}`, 1, 'status 413'],
    ['breaks before it has read all', `503 Busy\r\nConnection: close\r\n${empty}`, 3, 'status 503'],
    ['switches to another protocol', '101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n', 1, 'status 101'],
    ['sends an interim response first', `102 Processing\r\n\r\nHTTP/1.1 403 No\r\n${empty}`, 1, 'status 403'],
  ])('that %s', async (_, text, connections, status) => {
    const outcome = `${failed}the server answered with ${status}`
    expect(await tried(socket => socket.end(`HTTP/1.1 ${text}`))).toEqual({ outcome, connections })
  })

  test.each([
    ['hangs up', (socket: Socket) => socket.destroy(), /^the connection failed \((ECONNRESET|EPIPE)\)$/],
    ['resets', (socket: Socket) => socket.resetAndDestroy(), /^the connection failed \((ECONNRESET|EPIPE)\)$/],
    ['speaks another protocol', (socket: Socket) => socket.end('220 ready\r\n'), /^the connection failed \(HPE_/],
  ])('that %s is tried three times', async (_, answer, why) => {
    const { outcome, connections } = await tried(answer)
    expect(outcome.slice(failed.length)).toMatch(why)
    expect(connections).toBe(3)
  })

  test('that says 100 Continue first gets the upload', async () => {
    const outcome = await tried(socket => {
      socket.write('HTTP/1.1 100 Continue\r\n\r\n')
      let received = 0
      socket.on('data', ({ length }) => {
        received += length
        if (received >= 4_900_000) socket.end(`HTTP/1.1 201 Created\r\nConnection: close\r\n${empty}`)
      })
    })
    expect(outcome).toEqual({ outcome: 'uploaded', connections: 1 })
  })

  test('that never answers is given up at the deadline, and nothing stays open', async () => {
    const { outcome, connections } = await tried(socket => socket.resume(), AbortSignal.timeout(500))
    expect(outcome).toMatch(/timeout/)
    expect(connections).toBe(1)
  })

  test('does not delay an executor that is stopped', async () => {
    await using silent = await TestWeb.start(() => {})
    const wanted = await job({ script: 'print("fine")', upload: { ...store.put(), url: silent.url('/') } })
    const { executor, connection } = await readied(miner, wanted, LOCAL)
    await connection.send(wanted.work)
    while (silent.requests.length === 0) await new Promise(setImmediate)
    executor.process.kill('SIGTERM')
    expect(await executor.exit()).toBe(1)
    expect(executor.log).not.toContain('although something is still open')
    await expectNothingLeft(wanted, executor)
  })

  test('fails the job at the deadline, with its own exit status', async () => {
    await using silent = await TestWeb.start(() => {})
    const upload = { ...store.put(), url: silent.url('/') }
    const answer = await result(miner, { script: 'print("fine")', upload }, { ...LOCAL, UPLOAD_TIMEOUT_SECONDS: '1' })
    expect(answer).toMatchObject({
      message_type: 'V0FailedRequest',
      docker_process_exit_status: 0,
      docker_process_stderr: 'The output was not uploaded within 1 seconds\n',
    })
  })
})
