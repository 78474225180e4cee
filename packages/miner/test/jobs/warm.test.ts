/** Executors that are started ahead of jobs: each is bound to one job when it comes. */
import { randomUUID } from 'node:crypto'
import { type Database, openDatabase } from '@horde/kit/database'
import { connectExecutor } from '@horde/testing/peers/executor'
import { connectValidator } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { jobs } from '../../src/db/schema.ts'
import { migrationsFolder, ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'
import { offerOf } from '../messages.ts'

let stack: AsyncDisposableStack
let miner: TestMiner
let manager: ScriptedManager
let network: Awaited<ReturnType<typeof startChain>>
/** Shared by all tests: a new one takes seconds. */
let database: Database
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  network = stack.use(await startChain())
  database = stack.use(await openDatabase({ url: 'pglite://memory', migrationsFolder })).db
})
afterAll(() => stack.disposeAsync())

let running: AsyncDisposableStack
beforeEach(async () => {
  await database.delete(jobs)
  running = new AsyncDisposableStack()
  manager = new ScriptedManager()
  const { chain, url: chainUrl } = network
  const env = { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: '2', EXECUTOR_WARM_COUNT: '1' }
  miner = running.use(await startTestMiner({ chain, chainUrl, manager, database, env }))
  return () => running.disposeAsync()
})

it('binds the waiting executor to a job, and starts another one', async () => {
  const order = await manager.order()
  expect(order.token).toMatch(/^[0-9a-f-]{36}-[0-9a-f-]{36}$/)
  expect(order.environment).toMatchObject({ PREPARE_AHEAD: 'true' })
  const executor = await connectExecutor(order, manager)
  await using validator = await connectValidator(miner)
  const uuid = randomUUID()
  await validator.send(offerOf(uuid))
  expect(await executor.next()).toMatchObject({ message_type: 'V0PrepareJobRequest', job_uuid: uuid })
  expect(await validator.next()).toEqual({ message_type: 'V0AcceptJobRequest', job_uuid: uuid })
  await executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
  expect(await validator.next()).toEqual({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid })
  const next = await manager.order()
  expect(next.token).not.toBe(order.token)
})

it('binds an executor that is still starting', async () => {
  const order = await manager.order()
  await using validator = await connectValidator(miner)
  const uuid = randomUUID()
  await validator.send(offerOf(uuid))
  expect(await validator.next()).toEqual({ message_type: 'V0AcceptJobRequest', job_uuid: uuid })
  const executor = await connectExecutor(order, manager)
  expect(await executor.next()).toMatchObject({ message_type: 'V0PrepareJobRequest', job_uuid: uuid })
})

it('answers messages of an executor without a job with an error, and goes on', async () => {
  const executor = await connectExecutor(await manager.order(), manager)
  const uuid = randomUUID()
  await executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
  expect(await executor.next()).toEqual({
    message_type: 'GenericError',
    details: 'There is no job for this executor yet',
  })
  await using validator = await connectValidator(miner)
  await validator.send(offerOf(uuid))
  expect(await executor.next()).toMatchObject({ message_type: 'V0PrepareJobRequest', job_uuid: uuid })
})

it('removes warm executors when the miner stops', async () => {
  const order = await manager.order()
  await connectExecutor(order, manager)
  await running.disposeAsync()
  expect(manager.stopped).toEqual([order.token])
})

it('removes the warm executor of a removed pool, and keeps running jobs', async () => {
  const order = await manager.order()
  const executor = await connectExecutor(order, manager)
  await using validator = await connectValidator(miner)
  const uuid = randomUUID()
  await validator.send(offerOf(uuid))
  await executor.next()
  await validator.next()
  const waiting = await manager.order()
  const pool = {
    executorClass: 'always_on.cpu.8c.16gb' as const,
    count: 1,
    warm: 0,
    manager: 'process',
    image: '',
    program: 'compute-horde' as const,
    folder: undefined,
    gpus: [],
  }
  await miner.reload([{ ...pool, name: 'other', engine: { socket: '' }, environment: {}, address: undefined }])
  await expect.poll(() => manager.stopped).toEqual([waiting.token])
  const declined = randomUUID()
  await validator.send(offerOf(declined))
  expect(await validator.next()).toEqual({ message_type: 'V0DeclineJobRequest', job_uuid: declined })
  await executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
  expect(await validator.next()).toEqual({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid })
  await using later = await connectValidator(miner, undefined, ['manifest'])
  expect(await later.next()).toMatchObject({
    manifest: { executor_classes: [{ executor_class: 'always_on.cpu.8c.16gb', count: 1 }] },
  })
})
