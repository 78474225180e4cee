/** A miner that starts after a kill: the jobs of its database, and executors that still run. */
import { randomUUID } from 'node:crypto'
import { type Database, openDatabase } from '@horde/kit/database'
import type { JobState } from '@horde/protocol/job-state'
import { connectExecutor } from '@horde/testing/peers/executor'
import { connectValidator, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findJob, insertJob } from '../../src/db/jobs.ts'
import { jobs } from '../../src/db/schema.ts'
import type { ExecutorManager } from '../../src/horde/manager.ts'
import { migrationsFolder, ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'
import { offerOf, workOf } from '../messages.ts'
import { moveStored } from '../stored-jobs.ts'

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

let uuid: string
let token: string
let manager: ScriptedManager
beforeEach(async () => {
  await database.delete(jobs)
  uuid = randomUUID()
  token = `${uuid}-${randomUUID()}`
  manager = new ScriptedManager()
})

const work = () => workOf(uuid, { docker_run_cmd: ['a'] })
const aboutJob = (message_type: string) => ({ message_type, job_uuid: uuid })
const finished = () => ({
  message_type: 'V0FinishedRequest' as const,
  job_uuid: uuid as never,
  docker_process_stdout: 'answer\n',
  docker_process_stderr: '',
})
const ready = () => ({ message_type: 'V0ReadyRequest' as const, job_uuid: uuid as never })

/** Leaves a job in the database as a miner does that is killed while the job is in this state. */
async function leaveJob(db: Database, state: JobState, kept: { work: boolean }): Promise<void> {
  const now = new Date()
  const row = await insertJob(
    db,
    {
      validator: validatorKey().ss58,
      uuid,
      executorClass: 'always_on.test',
      imageName: 'img',
      timeoutSeconds: 5,
      volumeType: 'inline',
      executorToken: token,
      place: 'always_on.test/0',
      state: 'offered',
    },
    now,
  )
  const id = row?.id ?? 0
  const way: JobState[] = ['accepted', 'ready', 'running']
  for (const to of way.slice(0, way.indexOf(state) + 1)) {
    await moveStored(db, id, { to, ...(to === 'running' && kept.work && { work: work() }) }, now)
  }
}

type Resumed = {
  state: JobState
  hasExecutor: boolean
  keptWork?: boolean
  manager?: ExecutorManager
  graceSeconds?: number
}

async function startAgain(resumed: Resumed): Promise<TestMiner> {
  if (resumed.hasExecutor) manager.orphans.add(token)
  const { chain, url: chainUrl } = network
  return startTestMiner({
    chain,
    chainUrl,
    database,
    manager: resumed.manager ?? manager,
    env: { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_GRACE_SECONDS: String(resumed.graceSeconds ?? 30) },
    before: db => leaveJob(db, resumed.state, { work: resumed.keptWork ?? true }),
  })
}

const orderOf = (miner: TestMiner) => ({
  token,
  minerAddress: miner.url,
  executorClass: 'always_on.test',
  environment: {},
})
const stored = (miner: TestMiner) => findJob(miner.db, validatorKey().ss58, uuid)

describe('an executor that still runs', () => {
  it('finishes its job, and the validator gets the result after reconnecting', async () => {
    await using miner = await startAgain({ state: 'running', hasExecutor: true })
    const executor = await connectExecutor(orderOf(miner), manager)
    expect(await executor.next(), 'sent again, in case it was lost').toMatchObject(aboutJob('V0RunJobRequest'))
    await executor.send(finished())
    await expect.poll(async () => (await stored(miner))?.state).toBe('finished')
    await using validator = await connectValidator(miner)
    expect(await validator.next()).toMatchObject({
      ...aboutJob('V0JobFinishedRequest'),
      docker_process_stdout: 'answer\n',
    })
    await expect.poll(() => manager.stopped).toContain(token)
    expect((await stored(miner))?.work, 'nothing of the work is kept').toBeNull()
  })

  it('stays ready: the new connection of its validator gets ready, takes the work and gets the result', async () => {
    await using miner = await startAgain({ state: 'ready', hasExecutor: true })
    await using validator = await connectValidator(miner)
    expect(await validator.next()).toEqual(aboutJob('V0ExecutorReadyRequest'))
    const executor = await connectExecutor(orderOf(miner), manager)
    await executor.send(ready())
    await validator.send(work())
    expect(await executor.next()).toEqual({ ...work(), message_type: 'V0RunJobRequest' })
    await executor.send(finished())
    expect(await validator.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
    await expect.poll(async () => (await stored(miner))?.deliveredAt).toBeInstanceOf(Date)
  })

  it('receives the order to prepare again when it was not ready yet', async () => {
    await using miner = await startAgain({ state: 'accepted', hasExecutor: true })
    const executor = await connectExecutor(orderOf(miner), manager)
    expect(await executor.next()).toMatchObject(aboutJob('V0PrepareJobRequest'))
    await executor.send(ready())
    await using validator = await connectValidator(miner)
    expect(await validator.next()).toEqual(aboutJob('V0ExecutorReadyRequest'))
  })

  it('lacks work that was too large to store: the validator is asked for it', async () => {
    await using miner = await startAgain({ state: 'running', hasExecutor: true, keptWork: false })
    const executor = await connectExecutor(orderOf(miner), manager)
    await executor.send(ready())
    await using validator = await connectValidator(miner)
    expect(await validator.next()).toEqual(aboutJob('V0ExecutorReadyRequest'))
    await validator.send(work())
    expect(await executor.next()).toEqual({ ...work(), message_type: 'V0RunJobRequest' })
    await executor.send(finished())
    expect(await validator.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
  })

  it('breaks its job at once when it exits before reconnecting', async () => {
    await using miner = await startAgain({ state: 'running', hasExecutor: true })
    manager.exit(token)
    await expect.poll(() => stored(miner)).toMatchObject({ state: 'broken', reason: 'executor-exited' })
  })

  it('breaks its job when it does not reconnect within the grace', async () => {
    await using miner = await startAgain({ state: 'running', hasExecutor: true, graceSeconds: 1 })
    await expect.poll(() => stored(miner)).toMatchObject({ state: 'broken', reason: 'executor-lost' })
    expect(manager.stopped).toContain(token)
  })

  it('keeps its slot: no other job gets it', async () => {
    await using miner = await startAgain({ state: 'running', hasExecutor: true })
    await using validator = await connectValidator(miner)
    const other = randomUUID() as never
    await validator.send(offerOf(other))
    expect(await validator.next()).toEqual({ message_type: 'V0DeclineJobRequest', job_uuid: other })
  })
})

describe('an executor that is gone', () => {
  it.each(['ready', 'running'] as const)('breaks its %s job, and sends the failure to the validator', async state => {
    await using miner = await startAgain({ state, hasExecutor: false })
    await using validator = await connectValidator(miner)
    expect(await validator.next()).toMatchObject({
      ...aboutJob('V0JobFailedRequest'),
      docker_process_exit_status: null,
    })
    expect(await stored(miner)).toMatchObject({ state: 'broken', reason: 'executor-exited' })
  })

  it('is replaced, under the same token, when its job was only accepted', async () => {
    await using miner = await startAgain({ state: 'accepted', hasExecutor: false })
    const order = await manager.order()
    expect(order.token).toBe(token)
    const executor = await connectExecutor(order, manager)
    expect(await executor.next()).toMatchObject(aboutJob('V0PrepareJobRequest'))
    await executor.send(ready())
    await using validator = await connectValidator(miner)
    expect(await validator.next()).toEqual(aboutJob('V0ExecutorReadyRequest'))
  })

  it('was never started for an offered job, which is broken', async () => {
    await using miner = await startAgain({ state: 'offered', hasExecutor: false })
    expect(await stored(miner)).toMatchObject({ state: 'broken', reason: 'abandoned' })
  })
})

describe('a manager that cannot find executors of an earlier run', () => {
  const start = (order: Parameters<ScriptedManager['start']>[0]) => manager.start(order)
  const blind = () => ({ start })
  const away = () => ({ start, takeOver: () => Promise.reject(new Error('no engine today')) })

  it.each([
    ['accepted', blind],
    ['running', blind],
    ['running', away],
  ] as const)('a %s job waits for its executor to come back', async (state, managed) => {
    await using miner = await startAgain({ state, hasExecutor: false, manager: managed() })
    const executor = await connectExecutor(orderOf(miner))
    expect(await executor.next()).toMatchObject({ job_uuid: uuid })
    if (state === 'accepted') await executor.send(ready())
    else await executor.send(finished())
    await expect.poll(async () => (await stored(miner))?.state).toBe(state === 'accepted' ? 'ready' : 'finished')
  })

  it('breaks a job whose executor does not reconnect', async () => {
    await using miner = await startAgain({ state: 'running', hasExecutor: false, manager: blind(), graceSeconds: 1 })
    await expect.poll(() => stored(miner)).toMatchObject({ state: 'broken', reason: 'executor-lost' })
  })
})
