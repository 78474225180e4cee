/** A miner that goes away, in every stage of an executor, and comes back within its attempts or never. */
import { randomUUID } from 'node:crypto'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { WAIT_MS } from '@horde/testing/limits'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { RawMiner } from '@horde/testing/peers/raw-miner'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JobProgress } from '../../src/job/job-progress.ts'
import { MinerConnection } from '../../src/miner/miner-connection.ts'
import { HeldRegistry } from '../images/held-registry.ts'
import { Conversation } from './conversation.ts'

let miner: RawMiner
let spawner: TestMiner
let registry: HeldRegistry
beforeAll(async () => {
  miner = await RawMiner.start()
  spawner = await TestMiner.start()
  registry = await HeldRegistry.start()
})
afterAll(async () => {
  await spawner[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
  await registry[Symbol.asyncDispose]()
})

describe('continues after the miner comes back', () => {
  test.each([1001, 1006, 1011, 1012])('before any job, after closing with %d: it can still have one', async code => {
    const conversation = await Conversation.begin(miner, spawner)
    if (code === 1006) conversation.connection.cut()
    else conversation.connection.close(code)
    await conversation.again()
    await conversation.prepare()
    await conversation.finish()
  })

  test('while the executor prepares', async () => {
    const image = registry.image()
    const conversation = await Conversation.begin(miner, spawner, image)
    conversation.offer()
    await registry.asked(image)
    await conversation.reconnect()
    registry.release(image)
    await conversation.expectReady()
    await conversation.finish()
  })

  test('in a new process, while the executor prepares', async () => {
    const passing = await RawMiner.start()
    const { port } = passing
    const image = registry.image()
    const conversation = await Conversation.begin(passing, spawner, image, { RECONNECT_ATTEMPTS: '50' })
    conversation.offer()
    await registry.asked(image)
    await passing[Symbol.asyncDispose]()
    registry.release(image)
    await using returned = await RawMiner.start(port)
    await conversation.again(returned)
    await conversation.expectReady()
    await conversation.finish()
  })

  test.each([1000, 1012])('while the job is ready, after close code %d: sends V0ReadyRequest again', async code => {
    const conversation = await Conversation.begin(miner, spawner)
    await conversation.prepare()
    await conversation.reconnect(code)
    await conversation.expectReady()
    await conversation.finish()
  })

  test.each([1000, 1011])('while the job runs, after close code %d', async code => {
    const conversation = await Conversation.begin(miner, spawner)
    await conversation.prepare()
    await conversation.start()
    await conversation.reconnect(code)
    await conversation.letGo()
    await conversation.expectResult()
    await conversation.acknowledge()
  })

  test('in a new process, after the job has ended', async () => {
    const passing = await RawMiner.start()
    const { port } = passing
    const conversation = await Conversation.begin(passing, spawner, null, { RECONNECT_ATTEMPTS: '50' })
    await conversation.prepare()
    await conversation.start()
    await conversation.letGo()
    await passing[Symbol.asyncDispose]()
    await using returned = await RawMiner.start(port)
    await conversation.again(returned)
    await conversation.expectResult()
    await conversation.acknowledge()
  })

  test.each(['cut', 1011] as const)('before the miner has acknowledged the result (%s): sends it again', async end => {
    const conversation = await Conversation.begin(miner, spawner)
    await conversation.prepare()
    await conversation.start()
    await conversation.letGo()
    await conversation.expectResult()
    if (end === 'cut') conversation.connection.cut()
    else conversation.connection.close(end)
    await conversation.again()
    await conversation.expectResult()
    await conversation.acknowledge()
  })
})

describe('when the miner never comes back', () => {
  /** Each stage follows the one before. */
  const STAGES = ['before any job', 'while it prepares', 'while the job is ready', 'in the middle of a run', 'answered']

  test.each(STAGES)('gives up and removes everything: %s', async stage => {
    const passing = await RawMiner.start()
    const image = registry.image()
    const conversation = await Conversation.begin(passing, spawner, image, { RECONNECT_ATTEMPTS: '3' })
    const steps = [
      async () => {
        conversation.offer()
        await registry.asked(image)
      },
      async () => {
        registry.release(image)
        await conversation.expectReady()
      },
      () => conversation.start(),
      async () => {
        await conversation.letGo()
        await conversation.expectResult()
      },
    ]
    for (const step of steps.slice(0, STAGES.indexOf(stage))) await step()
    await passing[Symbol.asyncDispose]()
    await conversation.expectExit(1)
    expect(conversation.executor.log).toContain('connection given up')
    expect(conversation.executor.log).not.toContain('although something is still open')
  })

  test('stops sending the answer to a miner that never acknowledges it', async () => {
    const signal = AbortSignal.timeout(WAIT_MS)
    const options = { address: miner.url, token: randomUUID(), attempts: 3, delayMs: 10, acknowledgeMs: 200 }
    const job_uuid = randomUUID()
    const progress = new JobProgress(systemClock, silentLog)
    const connection = new MinerConnection({ ...options, progress, log: silentLog })
    const end = connection.keep(signal)
    const first = await miner.arrival(options)
    first.send({ message_type: 'V0PrepareJobRequest', job_uuid, volume_type: 'inline' })
    await connection.receiveOffer(undefined, signal)
    const result = { reason: 'generic-error', stage: 'executor-startup', message: 'no', cause: null } as const
    connection.sendAnswer({ end: 'broken', ...result, exitStatus: null, printed: null }, signal).catch(() => {})
    for (const arrived of [first, await miner.arrival(options), await miner.arrival(options)]) {
      expect(await arrived.receive()).toEqual({ message_type: 'V0FailedToPrepare', job_uuid })
    }
    expect(await end).toBe('gave up')
  })
})
