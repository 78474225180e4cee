import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expectGoodEnd, job, readied, resultOn } from '@horde/testing/jobs/executor-job'
import { type TestExecutor, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const LIST_LOADED = new URL('list-loaded.mjs', import.meta.url).href

let folder: string
let socket: string
let miner: TestMiner
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'health-'))
  socket = join(folder, 'executor.sock')
  miner = await TestMiner.start()
})
afterEach(async () => {
  await miner[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

/** Requests a page and returns its status and text. */
async function page(path: string, where: { socketPath: string } | { host: string; port: number }) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number | undefined; body: string }>()
  request({ ...where, path }, async response => resolve({ status: response.statusCode, body: await text(response) }))
    .on('error', reject)
    .end()
  return promise
}

const healthAt = async (socketPath: string) => {
  const { status, body } = await page('/health', { socketPath })
  return { status, ...(JSON.parse(body) as { stage: string; ready: boolean; live: boolean; reasons: string[] }) }
}

async function untilServed(executor: TestExecutor): Promise<void> {
  await expect.poll(() => executor.log).toContain('health and metrics are served')
}

/** Runs a job and returns the log. */
async function worked(env: Record<string, string>): Promise<string> {
  const wanted = await job({ files: { 'payload.txt': 'done' } })
  const { executor, connection } = await readied(miner, wanted, env)
  await connection.send(wanted.work)
  expect(await resultOn(connection)).toMatchObject({ docker_process_stdout: 'done' })
  await expectGoodEnd(executor, connection)
  return executor.log
}

test('shows the stages of the job in health and metrics', async () => {
  const wanted = await job({ files: { 'payload.txt': 'done' } })
  const { executor, connection } = await readied(miner, wanted, { HEALTH_ADDRESS: `unix:${socket}` })
  await untilServed(executor)
  expect(await healthAt(socket)).toEqual({ status: 200, live: true, ready: true, reasons: [], stage: 'ready' })
  const { body } = await page('/metrics', { socketPath: socket })
  expect(body).toContain('executor_stage{stage="ready"} 1')
  expect(body).toContain('executor_stage{stage="idle"} 0')
  expect(Number(/^executor_stage_seconds\{stage="preparing"\} (\S+)$/m.exec(body)?.[1])).toBeGreaterThan(0)
  expect(body).toContain('executor_stage_seconds{stage="running"} 0')
  expect(body).toContain('executor_answers{answer="finished"} 0')
  expect(body).toMatch(/^executor_process_resident_memory_bytes \d+$/m)
  await connection.send(wanted.work)
  await resultOn(connection)
  await expectGoodEnd(executor, connection)
  expect(existsSync(socket)).toBe(false)
})

test('is not ready without its miner', async () => {
  const executor = miner.spawn({ HEALTH_ADDRESS: `unix:${socket}`, RECONNECT_DELAY_SECONDS: '30' })
  await executor.connection()
  await untilServed(executor)
  expect(await healthAt(socket)).toMatchObject({ status: 200, stage: 'idle' })
  await miner.vanish()
  await expect
    .poll(() => healthAt(socket))
    .toMatchObject({
      status: 503,
      live: true,
      ready: false,
      reasons: ['no connection to the miner'],
    })
})

test('a TCP port of this machine', async () => {
  const executor = miner.spawn({ HEALTH_ADDRESS: '127.0.0.1:0' })
  await executor.connection()
  await untilServed(executor)
  const port = Number(/"url":"http:\/\/127\.0\.0\.1:(\d+)"/.exec(executor.log)?.[1])
  expect(await page('/health', { host: '127.0.0.1', port })).toMatchObject({ status: 200 })
})

describe('a socket that exists already', () => {
  test('is replaced when its process was killed', async () => {
    const killed = miner.spawn({ HEALTH_ADDRESS: `unix:${socket}` })
    await killed.connection()
    await untilServed(killed)
    await killed.kill()
    expect(existsSync(socket)).toBe(true)
    const executor = miner.spawn({ HEALTH_ADDRESS: `unix:${socket}` })
    await executor.connection()
    await untilServed(executor)
    expect(await healthAt(socket)).toMatchObject({ status: 200 })
  })

  test('costs no job when another process listens on it, and is left alone', async () => {
    const first = miner.spawn({ HEALTH_ADDRESS: `unix:${socket}` })
    await first.connection()
    await untilServed(first)
    expect(await worked({ HEALTH_ADDRESS: `unix:${socket}` })).toMatch(/"level":"warn".*EADDRINUSE.*are not served/)
    expect(await healthAt(socket)).toMatchObject({ status: 200, stage: 'idle' })
  })

  test('costs no job when it is a plain file, which stays', async () => {
    await writeFile(socket, 'precious')
    expect(await worked({ HEALTH_ADDRESS: `unix:${socket}` })).toMatch(/"level":"warn".*are not served/)
    expect(await readFile(socket, 'utf8')).toBe('precious')
  })
})

test.each([
  ['a port in use', async (port: number) => `127.0.0.1:${port}`],
  ['a folder that is not there', async () => `unix:${folder}/no/such/executor.sock`],
])('%s is a warning and costs no job', async (_, addressFor) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const address = taken.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const log = await worked({ HEALTH_ADDRESS: await addressFor(address.port) })
  expect(log).toMatch(/"level":"warn".*are not served/)
  taken.close()
})

test('loads health and metrics only with the setting', async () => {
  const loaded = async (env: Record<string, string>) => {
    const log = await worked({ NODE_OPTIONS: `--import=${LIST_LOADED}`, ...env })
    return /^loaded (.*)$/m.exec(log)?.[1]?.split(' ')
  }
  const without = await loaded({})
  expect(without).toContain('dockerode')
  expect(without).not.toContain('fastify')
  expect(without).not.toContain('prom-client')
  expect(await loaded({ HEALTH_ADDRESS: `unix:${socket}` })).toEqual(expect.arrayContaining(['fastify', 'prom-client']))
})
