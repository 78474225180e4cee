/**
 * An engine that stands still while an executor asks it for something, and does that later: when the call was given up.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expectGoodEnd, type Job, job, readied, resultOn } from '@horde/testing/jobs/executor-job'
import { receive, type TestExecutor, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { PrivateEngine } from '@horde/testing/private-engine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CountingEngine } from './counting-engine.ts'

const CONTAINER = /^POST \/containers\/create/
const VOLUME = /^POST \/volumes\/create/
/** Four times what an idle machine takes for the slowest of these calls. */
const ENGINE_CALL_SECONDS = '5'

let folder: string
let miner: TestMiner
let engine: PrivateEngine
let relay: CountingEngine
/** Has the engine stand still when it is asked for such a thing for the nth time from now on. */
let stopAt: { request: RegExp; nth: number } | undefined
let stopped = Promise.withResolvers<void>()
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'late-engine-'))
  miner = await TestMiner.start()
  engine = await PrivateEngine.start({ hasImages: true })
  relay = await CountingEngine.start(folder, { socket: engine.socket, onRequest })
  // From here on the engine has the image of the holder, and the host is known to be good.
  const wanted = await job({ script: 'print(1)' })
  const { executor, connection } = await readied(miner, wanted, environment)
  await connection.send(wanted.work)
  await resultOn(connection)
  await expectGoodEnd(executor, connection)
})
afterAll(async () => {
  await engine?.resume()
  await miner?.[Symbol.asyncDispose]()
  await relay?.[Symbol.asyncDispose]()
  await engine?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

const environment = {
  get DOCKER_HOST() {
    return relay.dockerHost
  },
  ENGINE_CALL_SECONDS,
}

async function onRequest(request: string): Promise<void> {
  if (!stopAt?.request.test(request)) return
  stopAt.nth -= 1
  if (stopAt.nth > 0) return
  stopAt = undefined
  await engine.pause()
  stopped.resolve()
}

function stopEngineAt(request: RegExp, nth: number): void {
  stopped = Promise.withResolvers()
  stopAt = { request, nth }
}

/** The engine goes on when the executor has given the call up. */
async function goOn(executor: TestExecutor): Promise<void> {
  await stopped.promise
  await expect.poll(() => executor.log).toContain('the engine is late')
  await engine.resume()
}

async function expectNothingThere(): Promise<void> {
  expect(await engine.docker('ps', '--all', '--quiet')).toBe('')
  expect(await engine.docker('volume', 'ls', '--quiet')).toBe('')
}

/** Offers a job to a new executor. Returns the executor when it has reported that preparing failed, and ended. */
async function unprepared(wanted: Job, more: Record<string, string> = {}): Promise<TestExecutor> {
  const executor = miner.spawn({ ...environment, ...more })
  const connection = await executor.connection()
  await connection.send(wanted.offer)
  await goOn(executor)
  await receive(connection, 'V0FailedToPrepare')
  await expectGoodEnd(executor, connection)
  return executor
}

describe('before it exits, an executor removes what a late engine made after the time-out:', () => {
  test.each([
    ['a volume', VOLUME],
    ['the container that holds the volumes', CONTAINER],
  ])('%s', async (_, request) => {
    stopEngineAt(request, 1)
    const { log } = await unprepared(await job({ script: 'print(1)' }))
    expect(log).toMatch(/creating a (volume|container): not done within 5000 ms/)
    await expectNothingThere()
  })

  test('the container of the job', async () => {
    const wanted = await job({ script: 'print(1)' })
    const { executor, connection } = await readied(miner, wanted, environment)
    stopEngineAt(CONTAINER, 1)
    await connection.send(wanted.work)
    await goOn(executor)
    expect(await resultOn(connection)).toMatchObject({ docker_process_exit_status: null })
    await expectGoodEnd(executor, connection)
    await expectNothingThere()
  })

  test('the container that probes its GPUs', async () => {
    stopEngineAt(CONTAINER, 2)
    await unprepared(await job({ script: 'print(1)' }), { EXECUTOR_GPU_DEVICE_IDS: '0', KNOWN_ESCAPES: 'warn' })
    await expectNothingThere()
  })
})
