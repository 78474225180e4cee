import { expectGoodEnd, expectNothingLeft, job, readied, resultOn } from '@horde/testing/jobs/executor-job'
import { TestWeb } from '@horde/testing/peers/http-target'
import { hear, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JOB_LABEL } from '../src/engine/identity.ts'
import { engine } from './engine.ts'
import { untilRunning } from './running.ts'
import { warming } from './warm.ts'

const SLEEPER = 'import time; print("on", flush=True); time.sleep(600)'

let miner: TestMiner
beforeAll(async () => {
  miner = await TestMiner.start()
})
afterAll(() => miner[Symbol.asyncDispose]())

describe('a miner that has no use for an executor', () => {
  test('dismisses it by closing before any job', async () => {
    const executor = miner.spawn()
    const connection = await executor.connection()
    await connection.close(1000)
    expect(await executor.exit()).toBe(0)
  })

  test('refuses its token with an error', async () => {
    const executor = miner.spawn()
    const connection = await executor.connection()
    await connection.say({ message_type: 'GenericError', details: 'unknown token' })
    await connection.close(1000)
    expect(await executor.exit()).toBe(1)
    expect(executor.log).not.toContain(executor.token)
  })

  test('refuses its token with an error, and leaves the connection open', async () => {
    const executor = miner.spawn()
    const connection = await executor.connection()
    await connection.say({ message_type: 'GenericError', details: 'No job waiting for token' })
    expect(await executor.exit()).toBe(1)
    expect(executor.log).toMatch(/"end":"refused"/)
    expect(executor.log).not.toContain(executor.token)
  })

  test('never offers a job to it, unless it is to prepare ahead', async () => {
    const env = { OFFER_TIMEOUT_SECONDS: '1' }
    const { executor: ahead, connection } = await warming(miner, env)
    const executor = miner.spawn(env)
    await executor.connection()
    expect(await executor.exit()).toBe(1)
    expect(executor.log).toMatch(/"end":"no offer"/)
    await connection.say((await job({})).offer)
    await hear(connection, 'V0ReadyRequest')
    ahead.process.kill('SIGTERM')
    await ahead.exit()
  })

  test('refuses the upgrade itself', async () => {
    await using server = await TestWeb.start((_, response) => void response.writeHead(401).end())
    const executor = miner.spawn({ MINER_ADDRESS: `ws://127.0.0.1:${server.port}` })
    expect(await executor.exit()).toBe(1)
    expect(executor.log).toContain('status 401')
  })

  test('is not there at all', async () => {
    const executor = miner.spawn({ MINER_ADDRESS: 'ws://127.0.0.1:1', RECONNECT_DELAY_SECONDS: '0.01' })
    expect(await executor.exit()).toBe(1)
    expect(executor.log).toContain('connection given up')
    expect(executor.log).not.toContain(executor.token)
  })

  test('never sends the work', async () => {
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
    await connection.say(wanted.work)
    await untilRunning(wanted)
    executor.process.kill(signal)
    expect(await executor.exit()).toBe(1)
    await expectNothingLeft(wanted, executor)
  })

  test('by SIGTERM while it waits for a job exits', async () => {
    const executor = miner.spawn()
    await executor.connection()
    executor.process.kill('SIGTERM')
    expect(await executor.exit()).toBe(1)
  })

  test('by SIGKILL leaves what the next executor removes, and only that', async () => {
    const killed = await job({ script: SLEEPER })
    const alive = await job({ script: SLEEPER })
    const first = await readied(miner, killed)
    const neighbour = await readied(miner, alive)
    for (const [each, wanted] of [
      [first, killed],
      [neighbour, alive],
    ] as const) {
      await each.connection.say(wanted.work)
      await untilRunning(wanted)
    }
    await first.executor.kill()

    const next = await job({ files: { 'payload.txt': 'x' } })
    const { executor, connection } = await readied(miner, next)
    // It may have had the GPUs that the next job is to have.
    expect(await engine.containersWith(`${JOB_LABEL}=${killed.job_uuid}`)).toEqual([])
    await connection.say(next.work)
    await resultOn(connection)
    await expectGoodEnd(executor, connection)
    await expectNothingLeft(killed, first.executor)
    await untilRunning(alive)
    neighbour.executor.process.kill('SIGTERM')
    await neighbour.executor.exit()
    await expectNothingLeft(alive, neighbour.executor)
  })
})
