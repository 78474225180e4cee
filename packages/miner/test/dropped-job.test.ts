/** A job that another process moves in the shared database while this miner drives it: the miner drops it silently. */
import { randomUUID } from 'node:crypto'
import { type Database, openDatabase } from '@horde/kit/database'
import { connectExecutor, type ExecutorPeer } from '@horde/testing/peers/executor'
import { connectValidator, type ValidatorPeer, validatorKey } from '@horde/testing/peers/validator'
import { eq } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { findJob } from '../src/db/jobs.ts'
import { jobs } from '../src/db/schema.ts'
import { capturedLog } from './captured-log.ts'
import { migrationsFolder, ScriptedManager, startChain, startTestMiner, type TestMiner } from './harness.ts'
import { offerOf, workOf } from './messages.ts'

let stack: AsyncDisposableStack
let network: Awaited<ReturnType<typeof startChain>>
/** Shared by all tests: a new one takes seconds. */
let database: Database
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  network = stack.use(await startChain())
  database = stack.use(await openDatabase({ url: 'pglite://memory', migrationsFolder })).db
})
afterAll(() => stack.disposeAsync())

let miner: TestMiner
let manager: ScriptedManager
let uuid: string
const { log, lines } = capturedLog()
beforeEach(async () => {
  uuid = randomUUID()
  manager = new ScriptedManager()
  await database.delete(jobs)
  const { chain, url: chainUrl } = network
  const env = { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: '1' }
  miner = await startTestMiner({ chain, chainUrl, database, manager, env, log })
})
afterEach(() => miner[Symbol.asyncDispose]())

const stored = () => findJob(database, validatorKey().ss58, uuid)
const aboutJob = (message_type: string) => ({ message_type, job_uuid: uuid })
const ready = () => ({ message_type: 'V0ReadyRequest' as const, job_uuid: uuid as never })
const finished = () => {
  const output = { docker_process_stdout: 'answer', docker_process_stderr: '' }
  return { message_type: 'V0FinishedRequest' as const, job_uuid: uuid as never, ...output }
}

/** What another process does that takes the job for abandoned. */
async function endElsewhere(): Promise<void> {
  const end = { state: 'broken', reason: 'abandoned', work: null, endedAt: new Date() } as const
  await database.update(jobs).set(end).where(eq(jobs.uuid, uuid))
}

/** Offers a job and returns its executor, which has received the order to prepare. */
async function acceptedJob(validator: ValidatorPeer): Promise<{ executor: ExecutorPeer; token: string }> {
  await validator.send(offerOf(uuid))
  expect(await validator.next()).toEqual(aboutJob('V0AcceptJobRequest'))
  const order = await manager.order()
  const executor = await connectExecutor(order, manager)
  await executor.next()
  return { executor, token: order.token }
}

/** Expects the executor to be stopped, and the validator's connection to be silent until then and after. */
async function expectSilentDrop(validator: ValidatorPeer, token: string, moves: string[]): Promise<void> {
  const answer = validator.next()
  const stopped = expect.poll(() => manager.stopped).toContain(token)
  expect(await Promise.race([answer, stopped.then(() => 'stopped')])).toBe('stopped')
  // The answer to this message is the next one on the connection: nothing was sent about the job.
  await validator.send({ message_type: 'V0JobRequest', probe: true } as never)
  expect(await answer).toMatchObject({ message_type: 'GenericError', details: expect.stringContaining('must') })
  expect(await stored()).toMatchObject({ state: 'broken', reason: 'abandoned', result: null })
  const ownLines = lines.filter(({ jobUuid }) => jobUuid === uuid)
  expect(ownLines.filter(({ msg }) => msg === 'job moved').map(({ to }) => to)).toEqual(moves)
  expect(ownLines).toContainEqual(expect.objectContaining({ msg: 'job dropped: another process has moved it' }))
}

it('does not report ready once another process has ended the job, and frees its slot', async () => {
  await using validator = await connectValidator(miner)
  const { executor, token } = await acceptedJob(validator)
  await endElsewhere()
  await executor.send(ready())
  await expectSilentDrop(validator, token, ['accepted'])

  // The slot is free once the executor has stopped: until then the miner declines.
  const answer = async () => {
    await validator.send(offerOf(randomUUID()))
    return (await validator.next()).message_type
  }
  await expect.poll(answer).toBe('V0AcceptJobRequest')
})

it('sends no result of a job that another process has ended', async () => {
  await using validator = await connectValidator(miner)
  const { executor, token } = await acceptedJob(validator)
  await executor.send(ready())
  expect(await validator.next()).toEqual(aboutJob('V0ExecutorReadyRequest'))
  await validator.send(workOf(uuid))
  expect(await executor.next()).toMatchObject(aboutJob('V0RunJobRequest'))
  await endElsewhere()
  await executor.send(finished())
  await expectSilentDrop(validator, token, ['accepted', 'ready', 'running'])
})

it('sends a later connection nothing of the dropped job but its stored end, when the validator asks', async () => {
  await using validator = await connectValidator(miner)
  const { executor, token } = await acceptedJob(validator)
  await endElsewhere()
  await database.update(jobs).set({ deliveredAt: new Date() }).where(eq(jobs.uuid, uuid))
  await executor.send(ready())
  await expect.poll(() => manager.stopped).toContain(token)
  await using later = await connectValidator(miner)
  await later.send({ message_type: 'V0JobRequest', probe: true } as never)
  expect(await later.next()).toMatchObject({ message_type: 'GenericError', details: expect.stringContaining('must') })
  await later.send(offerOf(uuid))
  expect(await later.next()).toEqual(aboutJob('V0ExecutorFailedRequest'))
})
