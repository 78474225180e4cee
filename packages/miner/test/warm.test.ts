/** Executors that were started ahead: bound to a job when one comes, and each serves one. */
import { randomUUID } from 'node:crypto'
import { type Database, openDatabase } from '@horde/kit/database'
import { connectExecutor } from '@horde/testing/peers/executor'
import { connectValidator } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { jobs } from '../src/db/schema.ts'
import { migrationsFolder, PlayedManager, startChain, startTestMiner, type TestMiner } from './harness.ts'
import { offerOf } from './words.ts'

let stack: AsyncDisposableStack
let miner: TestMiner
let manager: PlayedManager
let network: Awaited<ReturnType<typeof startChain>>
/** One for all: a new one takes seconds. */
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
  manager = new PlayedManager()
  const { chain, url: chainUrl } = network
  const env = { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: '2', EXECUTOR_WARM_COUNT: '1' }
  miner = running.use(await startTestMiner({ chain, chainUrl, manager, database, env }))
  return () => running.disposeAsync()
})

it('a job gets the executor that waits, and the place of the next is filled anew', async () => {
  const order = await manager.order()
  expect(order.token).toMatch(/^[0-9a-f-]{36}-[0-9a-f-]{36}$/)
  expect(order.environment).toMatchObject({ PREPARE_AHEAD: 'true' })
  const executor = await connectExecutor(order, manager)
  await using validator = await connectValidator(miner)
  const uuid = randomUUID()
  await validator.say(offerOf(uuid))
  expect(await executor.next()).toMatchObject({ message_type: 'V0PrepareJobRequest', job_uuid: uuid })
  expect(await validator.next()).toEqual({ message_type: 'V0AcceptJobRequest', job_uuid: uuid })
  await executor.say({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
  expect(await validator.next()).toEqual({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid })
  const next = await manager.order()
  expect(next.token).not.toBe(order.token)
})

it('one that is still on its way is bound as well', async () => {
  const order = await manager.order()
  await using validator = await connectValidator(miner)
  const uuid = randomUUID()
  await validator.say(offerOf(uuid))
  expect(await validator.next()).toEqual({ message_type: 'V0AcceptJobRequest', job_uuid: uuid })
  const executor = await connectExecutor(order, manager)
  expect(await executor.next()).toMatchObject({ message_type: 'V0PrepareJobRequest', job_uuid: uuid })
})

it('what it says before there is a job is answered with an error, and does no harm', async () => {
  const executor = await connectExecutor(await manager.order(), manager)
  const uuid = randomUUID()
  await executor.say({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
  expect(await executor.next()).toEqual({
    message_type: 'GenericError',
    details: 'There is no job for this executor yet',
  })
  await using validator = await connectValidator(miner)
  await validator.say(offerOf(uuid))
  expect(await executor.next()).toMatchObject({ message_type: 'V0PrepareJobRequest', job_uuid: uuid })
})

it('nothing of them is left when the miner stops', async () => {
  const order = await manager.order()
  await connectExecutor(order, manager)
  await running.disposeAsync()
  expect(manager.stopped).toEqual([order.token])
})

it('other pools: a waiting executor of a pool that is no more goes, running jobs stay', async () => {
  const order = await manager.order()
  const executor = await connectExecutor(order, manager)
  await using validator = await connectValidator(miner)
  const uuid = randomUUID()
  await validator.say(offerOf(uuid))
  await executor.next()
  await validator.next()
  const waiting = await manager.order()
  const pool = {
    executorClass: 'always_on.cpu.8c.16gb' as const,
    count: 1,
    warm: 0,
    manager: 'process',
    image: '',
    gpus: [],
  }
  await miner.reload([{ ...pool, name: 'other', engine: { socket: '' }, environment: {}, address: undefined }])
  await expect.poll(() => manager.stopped).toEqual([waiting.token])
  const declined = randomUUID()
  await validator.say(offerOf(declined))
  expect(await validator.next()).toEqual({ message_type: 'V0DeclineJobRequest', job_uuid: declined })
  await executor.say({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
  expect(await validator.next()).toEqual({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid })
  await using later = await connectValidator(miner, undefined, ['manifest'])
  expect(await later.next()).toMatchObject({
    manifest: { executor_classes: [{ executor_class: 'always_on.cpu.8c.16gb', count: 1 }] },
  })
})
