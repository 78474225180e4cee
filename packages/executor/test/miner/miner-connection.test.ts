import { expectGoodEnd, expectNothingLeft, job, readied, resultOn } from '@horde/testing/jobs/executor-job'
import { TestWeb } from '@horde/testing/peers/http-target'
import { receive, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JOB_LABEL } from '../../src/workspace/identity.ts'
import { untilRunning } from '../container/running.ts'
import { engine } from '../engine.ts'
import { warming } from '../job/warm.ts'

const SLEEPER = 'import time; print("on", flush=True); time.sleep(600)'

let miner: TestMiner
beforeAll(async () => {
  miner = await TestMiner.start()
})
afterAll(() => miner[Symbol.asyncDispose]())

describe('an executor whose miner does not need it', () => {
  test('exits with 0 when the miner closes before any job', async () => {
    const executor = miner.spawn()
    const connection = await executor.connection()
    await connection.close(1000)
    expect(await executor.exit()).toBe(0)
  })

  test('exits with 1 when the miner refuses its token', async () => {
    const executor = miner.spawn()
    const connection = await executor.connection()
    await connection.send({ message_type: 'GenericError', details: 'unknown token' })
    await connection.close(1000)
    expect(await executor.exit()).toBe(1)
    expect(executor.log).not.toContain(executor.token)
  })

  test('exits with 1 when the miner refuses its token and leaves the connection open', async () => {
    const executor = miner.spawn()
    const connection = await executor.connection()
    await connection.send({ message_type: 'GenericError', details: 'No job waiting for token' })
    expect(await executor.exit()).toBe(1)
    expect(executor.log).toMatch(/"end":"refused"/)
    expect(executor.log).not.toContain(executor.token)
  })

  test('exits with 1 when no offer comes in time, unless it prepares ahead', async () => {
    const env = { OFFER_TIMEOUT_SECONDS: '1' }
    const { executor: ahead, connection } = await warming(miner, env)
    const executor = miner.spawn(env)
    await executor.connection()
    expect(await executor.exit()).toBe(1)
    expect(executor.log).toMatch(/"end":"no offer"/)
    await connection.send((await job({})).offer)
    await receive(connection, 'V0ReadyRequest')
    ahead.process.kill('SIGTERM')
    await ahead.exit()
  })

  test('exits with 1 when the miner refuses the upgrade', async () => {
    await using server = await TestWeb.start((_, response) => void response.writeHead(401).end())
    const executor = miner.spawn({ MINER_ADDRESS: `ws://127.0.0.1:${server.port}` })
    expect(await executor.exit()).toBe(1)
    expect(executor.log).toContain('status 401')
  })

  test('exits with 1 when the miner cannot be reached', async () => {
    const executor = miner.spawn({ MINER_ADDRESS: 'ws://127.0.0.1:1', RECONNECT_DELAY_SECONDS: '0.01' })
    expect(await executor.exit()).toBe(1)
    expect(executor.log).toContain('connection given up')
    expect(executor.log).not.toContain(executor.token)
  })

  test('exits with 1 when the work does not come in time', async () => {
    const wanted = await job({})
    const { executor } = await readied(miner, wanted, { WORK_TIMEOUT_SECONDS: '1' })
    expect(await executor.exit()).toBe(1)
    await expectNothingLeft(wanted, executor)
  })
})

describe('an executor that is stopped', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('by %s in the middle of a run removes everything', async signal => {
    const wanted = await job({ script: SLEEPER })
    const { executor, connection } = await readied(miner, wanted)
    await connection.send(wanted.work)
    await untilRunning(wanted)
    executor.process.kill(signal)
    expect(await executor.exit()).toBe(1)
    await expectNothingLeft(wanted, executor)
  })

  test('exits on SIGTERM while it waits for a job', async () => {
    const executor = miner.spawn()
    await executor.connection()
    executor.process.kill('SIGTERM')
    expect(await executor.exit()).toBe(1)
  })

  test('has its things removed by the next executor after a SIGKILL, and nothing else', async () => {
    const killed = await job({ script: SLEEPER })
    const alive = await job({ script: SLEEPER })
    const first = await readied(miner, killed)
    const other = await readied(miner, alive)
    for (const [each, wanted] of [
      [first, killed],
      [other, alive],
    ] as const) {
      await each.connection.send(wanted.work)
      await untilRunning(wanted)
    }
    await first.executor.kill()

    const next = await job({ files: { 'payload.txt': 'x' } })
    const { executor, connection } = await readied(miner, next)
    // It may have held the GPUs that the next job needs.
    expect(await engine.containers.withLabel(`${JOB_LABEL}=${killed.job_uuid}`)).toEqual([])
    await connection.send(next.work)
    await resultOn(connection)
    await expectGoodEnd(executor, connection)
    await expectNothingLeft(killed, first.executor)
    await untilRunning(alive)
    other.executor.process.kill('SIGTERM')
    await other.executor.exit()
    await expectNothingLeft(alive, other.executor)
  })
})
