import { randomUUID } from 'node:crypto'
import { type Database, openDatabase } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import { dialSocket } from '@horde/kit/socket'
import { LARGEST_PASSED_ON_BYTES } from '@horde/protocol/frame'
import { WAIT_MS } from '@horde/testing/limits'
import { connectExecutor } from '@horde/testing/peers/executor'
import { connectValidator, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { findJob } from '../../src/db/jobs.ts'
import type { ExecutorManager, ExecutorOrder } from '../../src/horde/manager.ts'
import { capturedLog } from '../captured-log.ts'
import { migrationsFolder, ScriptedManager, startChain, startTestMiner } from '../harness.ts'
import { offerOf, workOf } from '../messages.ts'

type StartOptions = Partial<Parameters<typeof startTestMiner>[0]>

let stack: AsyncDisposableStack
let start: (options?: StartOptions) => ReturnType<typeof startTestMiner>

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const { chain, url: chainUrl } = stack.use(await startChain())
  const env = { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_START_SECONDS: '0', PREPARE_SECONDS: '1' }
  start = options => startTestMiner({ chain, chainUrl, manager: new ScriptedManager(), env, ...options })
})
afterAll(() => stack.disposeAsync())

/** A database that can be made to refuse updates, or everything. */
function shakyDatabase() {
  const away = { select: 0, update: 0 }
  const disturb = (db: Database): Database =>
    new Proxy(db, {
      get(target, key) {
        if ((key !== 'select' && key !== 'update') || away[key] <= 0) return Reflect.get(target, key, target)
        away[key] -= 1
        return () => {
          throw new Error('the database is away')
        }
      },
    })
  return { away, disturb }
}

const offer = (uuid: string) => offerOf(uuid, { base_docker_image_name: null })

it('serves a validator that connected while the database was away once it is back', async () => {
  const { away, disturb } = shakyDatabase()
  await using miner = await start({ disturb })
  away.select = 1
  await using validator = await connectValidator(miner)
  const uuid = randomUUID()
  await validator.send(offer(uuid))
  expect(await validator.next()).toEqual({ message_type: 'V0AcceptJobRequest', job_uuid: uuid })
})

it('ends an offer whose acceptance could not be stored when it is offered again', async () => {
  const { away, disturb } = shakyDatabase()
  await using miner = await start({ disturb })
  await using validator = await connectValidator(miner)
  const uuid = randomUUID()
  away.update = 1
  await validator.send(offer(uuid))
  expect(await validator.next()).toMatchObject({ message_type: 'GenericError' })
  await validator.send(offer(uuid))
  expect(await validator.next()).toEqual({ message_type: 'V0ExecutorFailedRequest', job_uuid: uuid })
  expect(await findJob(miner.db, validatorKey().ss58, uuid)).toMatchObject({ state: 'broken', reason: 'abandoned' })
  const another = randomUUID()
  await validator.send(offer(another))
  expect(await validator.next(), 'its slot is free').toEqual({ message_type: 'V0AcceptJobRequest', job_uuid: another })
})

it('stops its executors even while the database is away', async () => {
  const { away, disturb } = shakyDatabase()
  const manager = new ScriptedManager()
  const miner = await start({ disturb, manager })
  await using validator = await connectValidator(miner)
  await validator.send(offer(randomUUID()))
  await validator.next()
  const order = await manager.order()
  const executor = await connectExecutor(order, manager)
  await executor.next()
  away.update = 1_000_000
  await miner[Symbol.asyncDispose]()
  expect(manager.stopped).toEqual([order.token])
})

/** Connects as an executor that waits long for the answer to its close. */
const dialAs = ({ minerAddress, token }: ExecutorOrder) =>
  dialSocket<unknown, object>(`${minerAddress}/v0.1/executor_interface/${token}`, {
    ...{ parse: frame => frame, maxFrameBytes: LARGEST_PASSED_ON_BYTES, closeTimeoutMs: WAIT_MS, log: silentLog },
  })

/** Starts a miner, brings a job on it to `running`, and has its executor send a result while the database is away. */
async function sendWhileAway(disturbed: ReturnType<typeof shakyDatabase>, options: StartOptions = {}) {
  const { away, disturb } = disturbed
  const { log, lines } = capturedLog()
  const manager = new ScriptedManager()
  const miner = await start({ disturb, manager, log, ...options })
  const validator = await connectValidator(miner)
  const uuid = randomUUID()
  const stored = () => findJob(miner.db, validatorKey().ss58, uuid)
  await validator.send(offer(uuid))
  await validator.next()
  const order = await manager.order()
  const socket = await dialAs(order)
  await socket.send({ message_type: 'V0ReadyRequest', job_uuid: uuid })
  expect(await validator.next()).toMatchObject({ message_type: 'V0ExecutorReadyRequest' })
  await validator.send(workOf(uuid))
  await expect.poll(async () => (await stored())?.state).toBe('running')

  away.update = 1_000_000
  const output = { docker_process_stdout: 'answer', docker_process_stderr: '' }
  const result = { message_type: 'V0FinishedRequest', job_uuid: uuid, ...output }
  await socket.send(result)
  const closed = socket.close(1000)
  const refusals = () => lines.filter(({ msg }) => msg === 'job could not be saved').length
  const refusedTwice = expect.poll(refusals, { timeout: WAIT_MS }).toBeGreaterThan(1)
  expect(await Promise.race([closed.then(() => 'closed'), refusedTwice.then(() => 'refused')])).toBe('refused')
  expect(await stored()).toMatchObject({ state: 'running', result: null })
  return { miner, manager, validator, stored, order, socket, result }
}

it("answers an executor's close only once its result is stored", async () => {
  const disturbed = shakyDatabase()
  const { miner, manager, validator, stored, order, socket } = await sendWhileAway(disturbed)
  await using _ = miner
  await using __ = validator
  disturbed.away.update = 0
  expect(await socket.closed).toMatchObject({ code: 1000 })
  expect(await stored()).toMatchObject({ state: 'finished', result: { stdout: 'answer' } })
  manager.exit(order.token, 'exit code 0')
  expect(await validator.next()).toMatchObject({ message_type: 'V0JobFinishedRequest' })
})

it('leaves a result that it could not store before its stop to its next start', async () => {
  const disturbed = shakyDatabase()
  await using database = await openDatabase({ url: 'pglite://memory', migrationsFolder })
  const options = { database: database.db }
  const { miner, manager, validator, stored, order, socket, result } = await sendWhileAway(disturbed, options)
  await using _ = validator
  await miner[Symbol.asyncDispose]()
  expect(await socket.closed).toMatchObject({ code: 1001 })
  expect(manager.stopped, 'the executor still has the result').toEqual([])
  expect(await stored()).toMatchObject({ state: 'running', result: null })

  const managerOfNext = new ScriptedManager()
  managerOfNext.orphans.add(order.token)
  await using next = await start({ ...options, manager: managerOfNext })
  const again = await dialAs({ ...order, minerAddress: next.url })
  await again.send(result)
  await again.close(1000)
  expect(await again.closed).toMatchObject({ code: 1000 })
  expect(await stored()).toMatchObject({ state: 'finished', result: { stdout: 'answer' } })
  managerOfNext.exit(order.token, 'exit code 0')
})

it('breaks a job whose executor hangs at its start, and stops the executor if it starts later', async () => {
  const started = Promise.withResolvers<void>()
  const stopped = Promise.withResolvers<string>()
  const manager: ExecutorManager = {
    async start({ token }: ExecutorOrder) {
      await started.promise
      const never = new Promise<string>(() => {})
      return { id: 'late', exited: never, stop: async () => stopped.resolve(token) }
    },
  }
  await using miner = await start({ manager })
  await using validator = await connectValidator(miner)
  const uuid = randomUUID()
  await validator.send(offer(uuid))
  expect(await validator.next()).toMatchObject({ message_type: 'V0AcceptJobRequest' })
  expect(await validator.next()).toEqual({ message_type: 'V0ExecutorFailedRequest', job_uuid: uuid })
  expect(await findJob(miner.db, validatorKey().ss58, uuid)).toMatchObject({ reason: 'executor-not-started' })
  started.resolve()
  expect(await stopped.promise).toContain(uuid)
})

it("survives an operator's manager that violates its interface", async () => {
  const manager: ExecutorManager = {
    start: async () => ({ id: 'odd', exited: Promise.reject(new Error('odd')), stop: async () => {} }),
  }
  await using miner = await start({ manager })
  await using validator = await connectValidator(miner)
  const uuid = randomUUID()
  await validator.send(offer(uuid))
  await validator.next()
  expect(await validator.next()).toEqual({ message_type: 'V0ExecutorFailedRequest', job_uuid: uuid })
})
