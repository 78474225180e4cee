/** Hostile inputs from the wire to the container. The tests in src/zip have the reason for each refused zip. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import { TestCertificate } from '@horde/testing/certificates'
import { expectGoodEnd, expectNothingLeft, job, readied, result, resultOn } from '@horde/testing/jobs/executor-job'
import { TestWeb } from '@horde/testing/peers/http-target'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { untilRunning } from '../container/running.ts'
import { rawZip } from './raw-zip.ts'

const MIB = 1024 * 1024
const LOCAL = { ALLOW_PRIVATE_TARGETS: 'true' }
const TOO_LARGE = 'Input volume too large'
const PAYLOAD = { name: 'payload.txt', contents: 'payload' }

let miner: TestMiner
let web: TestWeb
const pages = new Map<string, Buffer>()
beforeAll(async () => {
  miner = await TestMiner.start()
  web = await TestWeb.start((request, response) => {
    const path = request.url ?? ''
    const page = pages.get(path)
    if (path === '/chunks') for (let sent = 0; sent < 20; sent += 1) response.write(Buffer.alloc(65_536))
    else if (path === '/slow') {
      const timer = setInterval(() => response.write('P'), 1_000)
      response.once('close', () => clearInterval(timer))
    } else response.writeHead(page ? 200 : 404).end(page)
  })
})
afterAll(async () => {
  await web[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
})

const inline = (zip: Buffer) => ({ volume_type: 'inline', contents: zip.toString('base64') })
const remote = (path: string) => ({ volume_type: 'zip_url', contents: web.url(path) })

/** The result of a job whose input is refused. */
async function failureOf(volume: { volume_type: string; contents: string }, env: Record<string, string> = {}) {
  const answer = await result(miner, { volume }, { ...LOCAL, ...env })
  const { docker_process_stdout: why, ...rest } = answer
  expect(rest).toMatchObject({
    message_type: 'V0FailedRequest',
    docker_process_exit_status: null,
    timeout: false,
    docker_process_stderr: '',
  })
  return why
}

describe('a job fails with exit status null and the reason on its stdout', () => {
  const many = () =>
    rawZip(
      Array.from({ length: 100_000 }, (_, index) => ({ name: `${index}`, method: 0 })),
      { zip64: true },
    )

  test.each([
    [
      'a name that leads out',
      () => rawZip([PAYLOAD, { name: '..\\..\\up' }]),
      /^Input zip has a name that leads out of/,
    ],
    [
      'a symbolic link',
      () => rawZip([{ name: 'a', mode: 0o120777, contents: '/etc' }]),
      /^Input zip holds a symbolic link$/,
    ],
    [
      'a directory beyond all numbers',
      () => rawZip([PAYLOAD], { zip64: 1n << 63n }),
      /^Input zip is broken: it points beyond/,
    ],
    ['a hundred thousand entries', many, /^Input zip has too many entries$/],
    ['a bomb', () => rawZip([{ name: 'a', contents: Buffer.alloc(150 * MIB) }]), /^Input volume too large$/],
    [
      'a checksum that is wrong',
      () => rawZip([{ ...PAYLOAD, claimed: { crc: 1 } }]),
      /^Input zip is broken: the checksum/,
    ],
  ])('%s', async (_, zip, why) => {
    // Less than the bomb holds.
    expect(await failureOf(inline(zip()), { VOLUME_MAX_SIZE_BYTES: `${100 * MIB}` })).toMatch(why)
  })
})

describe('an input that is too large', () => {
  const zip = () => rawZip([{ name: 'a', contents: Buffer.alloc(200_000), method: 0 }])

  test.each([
    ['inline', () => inline(zip())],
    ['by its Content-Length', () => remote('/long.zip')],
    ['by what comes in chunks', () => remote('/chunks')],
    ['once unpacked', () => inline(rawZip([{ name: 'a', contents: Buffer.alloc(200_000) }]))],
  ])('%s fails with its own sentence', async (_, volume) => {
    pages.set('/long.zip', zip())
    expect(await failureOf(volume(), { VOLUME_MAX_SIZE_BYTES: '100000' })).toBe(TOO_LARGE)
  })
})

test('gives up a server that sends a byte a second, and leaves nothing open', async () => {
  // An executor that something open keeps alive would exit with another code.
  const why = await failureOf(remote('/slow'), { INPUT_TIMEOUT_SECONDS: '2' })
  expect(why).toBe('The input was not there within 2 seconds')
})

test('exits at once when stopped while it waits for its input', async () => {
  const wanted = await job({ volume: remote('/slow') })
  const { executor, connection } = await readied(miner, wanted, LOCAL)
  const asked = web.requests.length
  await connection.send(wanted.work)
  while (web.requests.length === asked) await new Promise(setImmediate)
  executor.process.kill('SIGTERM')
  expect(await executor.exit()).toBe(1)
  expect(executor.log).not.toContain('although something is still open')
  await expectNothingLeft(wanted, executor)
})

test('unusual names reach the job unchanged', async () => {
  const names = [
    '.wh.payload.txt',
    '.wh..wh..opq',
    'new\nline',
    'größe',
    '%2e%2e',
    '...',
    'ends. ',
    'deep/er/file',
    'quo\'te"',
  ]
  const zip = rawZip([PAYLOAD, ...names.map(name => ({ name, contents: name })), { name: 'empty/' }])
  const script = `
import json, os
found = {}
for folder, folders, files in os.walk("/volume"):
  found.update({os.path.join(folder, name)[8:]: open(os.path.join(folder, name)).read() for name in files})
  found.update({os.path.join(folder, name)[8:]: None for name in folders})
print(json.dumps(found))
`
  const answer = await result(miner, { script, volume: inline(zip) })
  expect(JSON.parse(answer.docker_process_stdout)).toEqual({
    ...Object.fromEntries(names.map(name => [name, name])),
    'payload.txt': 'payload',
    deep: null,
    'deep/er': null,
    empty: null,
  })
})

test('passes an input of 100 MB with little memory', async () => {
  pages.set('/huge.zip', rawZip([PAYLOAD, { name: 'huge', contents: Buffer.alloc(99 * MIB), method: 0 }]))
  const script = 'import os, time; print(os.stat("/volume/huge").st_size, flush=True); time.sleep(5)'
  const wanted = await job({ script, volume: remote('/huge.zip') })
  const { executor, connection } = await readied(miner, wanted, { ...LOCAL, NODE_OPTIONS: '--max-old-space-size=32' })
  await connection.send(wanted.work)
  await untilRunning(wanted)
  const status = await readFile(`/proc/${executor.process.pid}/status`, 'utf8')
  expect(await resultOn(connection)).toMatchObject({ docker_process_stdout: `${99 * MIB}\n` })
  await expectGoodEnd(executor, connection)
  // Most of this is Node itself.
  expect(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1])).toBeLessThan(180 * 1024)
})

test('passes an input of the largest frame', async () => {
  const zip = rawZip([PAYLOAD, { name: 'huge', contents: Buffer.alloc(36 * MIB), method: 0 }])
  const env = { NODE_OPTIONS: '--max-old-space-size=160' }
  const answer = await result(miner, { volume: inline(zip) }, env)
  expect(answer).toMatchObject({ message_type: 'V0FinishedRequest', docker_process_stdout: 'payload' })
})

describe('https', () => {
  test('is followed when the certificate is trusted, but not back to http', async () => {
    using certificate = new TestCertificate()
    pages.set('/plain.zip', rawZip([PAYLOAD]))
    const server = createHttps(certificate, ({ url }, response) => {
      if (url === '/') response.writeHead(302, { Location: '/input.zip' }).end()
      else if (url === '/down') response.writeHead(302, { Location: web.url('/plain.zip') }).end()
      else response.end(rawZip([PAYLOAD]))
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const url = (path: string) => `https://127.0.0.1:${(server.address() as AddressInfo).port}${path}`
    const env = { ...LOCAL, NODE_EXTRA_CA_CERTS: certificate.path }
    const fetched = await result(miner, { volume: { volume_type: 'zip_url', contents: url('/') } }, env)
    expect(fetched).toMatchObject({ message_type: 'V0FinishedRequest', docker_process_stdout: 'payload' })
    const why = await failureOf({ volume_type: 'zip_url', contents: url('/down') }, env)
    expect(why).toBe('Input URL refused: it redirects from https to http')
    server.closeAllConnections()
    server.close()
  })
})
