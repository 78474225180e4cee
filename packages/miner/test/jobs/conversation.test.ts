import { randomUUID } from 'node:crypto'
import type { MinerMessage, V0InitialJobRequest } from '@horde/protocol/v0/validator-miner'
import { connectExecutor } from '@horde/testing/peers/executor'
import { connectValidator, secondValidatorKey, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findJob } from '../../src/db/jobs.ts'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'
import { offerOf, workOf } from '../messages.ts'

const EXECUTORS = 3

let stack: AsyncDisposableStack
let miner: TestMiner
let uuid: string
const manager = new ScriptedManager()

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const { chain, url: chainUrl } = stack.use(await startChain())
  const env = { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: String(EXECUTORS), EXECUTOR_GRACE_SECONDS: '1' }
  miner = stack.use(await startTestMiner({ chain, chainUrl, manager, env }))
})
afterAll(() => stack.disposeAsync())
beforeEach(() => {
  uuid = randomUUID()
})

const offer = (changes: Partial<V0InitialJobRequest> = {}) => offerOf(uuid, changes)

const work = () => workOf(uuid, { docker_run_cmd: ['a', 'b c'] })

const aboutJob = (message_type: MinerMessage['message_type'] | string) => ({ message_type, job_uuid: uuid })
const finished = (stdout = 'answer\n') => ({
  message_type: 'V0FinishedRequest' as const,
  job_uuid: uuid as never,
  docker_process_stdout: stdout,
  docker_process_stderr: '',
})
const stored = () => findJob(miner.db, validatorKey().ss58, uuid)

/** An offer, accepted and made ready by a scripted executor. */
async function readyJob() {
  const validator = await connectValidator(miner)
  await validator.send(offer())
  expect(await validator.next()).toEqual(aboutJob('V0AcceptJobRequest'))
  const order = await manager.order()
  const executor = await connectExecutor(order, manager)
  expect(await executor.next()).toMatchObject({ ...aboutJob('V0PrepareJobRequest'), capabilities: ['large-frames'] })
  await executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
  expect(await validator.next()).toEqual(aboutJob('V0ExecutorReadyRequest'))
  return { validator, executor, order }
}

async function runningJob() {
  const peers = await readyJob()
  await peers.validator.send(work())
  expect(await peers.executor.next()).toEqual({ ...work(), message_type: 'V0RunJobRequest' })
  return peers
}

describe('the way of one job', () => {
  it('goes from offer to accept, ready, work and finished, and stores each state', async () => {
    const { validator, executor, order } = await runningJob()
    expect(order.token).toMatch(new RegExp(`^${uuid}-[0-9a-f-]{36}$`))
    await executor.send(finished())
    expect(await validator.next()).toEqual({ ...finished(), message_type: 'V0JobFinishedRequest' })
    await expect.poll(() => manager.stopped).toContain(order.token)
    const row = await stored()
    expect(row).toMatchObject({ state: 'finished', result: { exitStatus: 0, stdout: 'answer\n', stderr: '' } })
    expect([row?.readyAt, row?.startedAt, row?.endedAt]).toEqual([expect.any(Date), expect.any(Date), expect.any(Date)])
    await expect.poll(async () => (await stored())?.deliveredAt).toBeInstanceOf(Date)
    await validator.close()
  })

  it.each([
    [{ docker_process_exit_status: 3, timeout: false }, 'exit-status'],
    [{ docker_process_exit_status: null, timeout: true }, 'time-limit'],
    [{ docker_process_exit_status: null, timeout: false }, 'not-run'],
  ])('a job that fails: %j', async (end, reason) => {
    const { validator, executor } = await runningJob()
    const output = { docker_process_stdout: 'out \u0000\ud800', docker_process_stderr: 'err' }
    await executor.send({ message_type: 'V0FailedRequest', job_uuid: uuid as never, ...end, ...output })
    expect(await validator.next()).toEqual({
      ...aboutJob('V0JobFailedRequest'),
      docker_process_exit_status: end.docker_process_exit_status,
      ...(end.timeout ? { timeout: true } : {}),
      ...output,
    })
    expect(await stored()).toMatchObject({ state: 'failed', reason })
    await validator.close()
  })

  it('breaks a job whose executor cannot prepare', async () => {
    await using validator = await connectValidator(miner)
    await validator.send(offer())
    await validator.next()
    const executor = await connectExecutor(await manager.order(), manager)
    await executor.send({ message_type: 'V0FailedToPrepare', job_uuid: uuid as never })
    expect(await validator.next()).toEqual(aboutJob('V0ExecutorFailedRequest'))
    expect(await stored()).toMatchObject({ state: 'broken', reason: 'prepare-failed' })
  })

  it('takes an upper-case uuid for the same job, and answers it as it was written', async () => {
    const lower = uuid
    uuid = uuid.toUpperCase()
    const { validator, executor } = await runningJob()
    uuid = lower
    await executor.send(finished())
    expect(await validator.next()).toMatchObject({ job_uuid: lower.toUpperCase() })
    await validator.close()
  })
})

describe('reserving', () => {
  it('declines at once when every executor is taken, and any other class', async () => {
    await using validator = await connectValidator(miner)
    await validator.send(offer({ executor_class: null }))
    expect(await validator.next()).toEqual(aboutJob('V0DeclineJobRequest'))
    const tokens = []
    for (let index = 0; index < EXECUTORS; index += 1) {
      await validator.send(offer({ job_uuid: randomUUID() as never }))
      expect(await validator.next()).toMatchObject({ message_type: 'V0AcceptJobRequest' })
      tokens.push((await manager.order()).token)
    }
    uuid = randomUUID()
    await validator.send(offer())
    expect(await validator.next()).toEqual(aboutJob('V0DeclineJobRequest'))
    expect(await stored()).toMatchObject({ state: 'rejected' })
    for (const token of tokens) {
      manager.exit(token)
      expect(await validator.next()).toMatchObject({ message_type: 'V0ExecutorFailedRequest' })
    }
    uuid = randomUUID()
    await expect
      .poll(async () => {
        uuid = randomUUID()
        await validator.send(offer())
        return (await validator.next()).message_type
      })
      .toBe('V0AcceptJobRequest')
    manager.exit((await manager.order()).token)
    expect(await validator.next(), 'or it would stay due').toEqual(aboutJob('V0ExecutorFailedRequest'))
  })

  it('breaks a job whose executor cannot be started, and frees the slot', async () => {
    await using validator = await connectValidator(miner)
    manager.failNext = true
    await validator.send(offer())
    expect(await validator.next()).toEqual(aboutJob('V0AcceptJobRequest'))
    expect(await validator.next()).toEqual(aboutJob('V0ExecutorFailedRequest'))
    expect(await stored()).toMatchObject({ state: 'broken', reason: 'executor-not-started' })
  })
})

describe('what validators write', () => {
  it.each(['\0', 'x'.repeat(1_000_000)])('reaches the executor, and is stored cut and without NUL', async text => {
    await using validator = await connectValidator(miner)
    await validator.send(offer({ executor_class: text }))
    expect(await validator.next()).toEqual(aboutJob('V0DeclineJobRequest'))
    uuid = randomUUID()
    await validator.send(offer({ base_docker_image_name: text }))
    expect(await validator.next()).toEqual(aboutJob('V0AcceptJobRequest'))
    expect((await stored())?.imageName?.length).toBeLessThan(2_000)
    const executor = await connectExecutor(await manager.order(), manager)
    expect(await executor.next(), 'sent as it was offered').toMatchObject({ base_docker_image_name: text })
    await executor.send({ message_type: 'V0FailedToPrepare', job_uuid: uuid as never })
    expect(await validator.next()).toEqual(aboutJob('V0ExecutorFailedRequest'))
  })
})

describe('executors that go away', () => {
  it('end the job at once by their exit', async () => {
    const { validator, executor, order } = await runningJob()
    await executor.close()
    manager.exit(order.token)
    expect(await validator.next()).toMatchObject({
      ...aboutJob('V0JobFailedRequest'),
      docker_process_exit_status: null,
    })
    expect(await stored()).toMatchObject({ state: 'broken', reason: 'executor-exited' })
    await validator.close()
  })

  it('keep a result that came right before their exit', async () => {
    const { validator, executor, order } = await runningJob()
    const result = executor.send(finished())
    manager.exit(order.token)
    await result
    await executor.close()
    expect(await validator.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
    await validator.close()
  })

  it('end the job when a lost connection does not come back within the grace', async () => {
    const { validator, executor } = await runningJob()
    await executor.close()
    expect(await validator.next()).toMatchObject(aboutJob('V0JobFailedRequest'))
    expect(await stored()).toMatchObject({ state: 'broken', reason: 'executor-lost' })
    await validator.close()
  })

  it('deliver the result when they reconnect within the grace', async () => {
    const { validator, executor, order } = await runningJob()
    await executor.close()
    const again = await connectExecutor(order, manager)
    expect(await again.next(), 'it may have missed the work').toMatchObject(aboutJob('V0RunJobRequest'))
    await again.send({ message_type: 'GenericError', details: 'received before' })
    await again.send(finished())
    expect(await validator.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
    await validator.close()
  })

  it('count with their first result when they have two connections', async () => {
    const { validator, executor, order } = await runningJob()
    const second = await connectExecutor(order, manager)
    await executor.send(finished('first'))
    expect(await validator.next()).toMatchObject({ docker_process_stdout: 'first' })
    await second.send(finished('second')).catch(() => {})
    expect(await stored()).toMatchObject({ result: { stdout: 'first' } })
    await validator.close()
  })

  it('are refused with an unknown token', async () => {
    const peer = await connectExecutor({ minerAddress: miner.url, token: `${uuid}-${randomUUID()}` } as never)
    expect(await peer.next()).toMatchObject({ message_type: 'GenericError' })
    expect((await peer.closed).code).toBe(1000)
  })

  it('get a GenericError for messages about another job and for invalid frames', async () => {
    const { validator, executor } = await runningJob()
    await executor.send({ ...finished(), job_uuid: randomUUID() as never })
    expect(await executor.next()).toMatchObject({ message_type: 'GenericError' })
    await executor.send({ message_type: 'V0RunJobRequest' } as never)
    expect(await executor.next()).toMatchObject({ message_type: 'GenericError' })
    await executor.send(finished())
    expect(await validator.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
    await validator.close()
  })
})

describe('out of order', () => {
  it('breaks a job whose work comes before ready', async () => {
    await using validator = await connectValidator(miner)
    await validator.send(offer())
    await validator.next()
    await connectExecutor(await manager.order(), manager)
    await validator.send(work())
    expect(await validator.next()).toEqual(aboutJob('V0ExecutorFailedRequest'))
    expect(await stored()).toMatchObject({ state: 'broken', reason: 'out-of-order' })
  })

  it('breaks a job whose result comes before its work', async () => {
    const { validator, executor } = await readyJob()
    await executor.send(finished())
    expect(await validator.next()).toMatchObject(aboutJob('V0JobFailedRequest'))
    expect(await stored()).toMatchObject({ state: 'broken', reason: 'out-of-order' })
    await validator.close()
  })

  it('ignores a second ready and a second work', async () => {
    const { validator, executor } = await readyJob()
    await executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
    await validator.send(work())
    await validator.send(work())
    await executor.next()
    await executor.send(finished())
    expect(await validator.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
    await validator.close()
  })

  it('answers work for an unknown job with an error', async () => {
    await using validator = await connectValidator(miner)
    await validator.send(work())
    expect(await validator.next()).toMatchObject({ message_type: 'GenericError' })
  })
})

describe('validators that go away', () => {
  it('get a delivered end only once, even while the executor still cleans up', async () => {
    const { validator, order } = await runningJob()
    const slow = await connectExecutor(order)
    await slow.next()
    await slow.send(finished())
    expect(await validator.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
    await validator.close()
    await using later = await connectValidator(miner)
    await later.send({ ...work(), job_uuid: randomUUID() as never })
    expect(await later.next()).toMatchObject({ message_type: 'GenericError' })
    await later.send(offer())
    expect(await later.next(), 'but to who asks').toMatchObject(aboutJob('V0JobFinishedRequest'))
    manager.exit(order.token)
  })

  it('receive ready after reconnecting, send the work, and get the result', async () => {
    const { validator, executor } = await readyJob()
    await validator.close()
    const again = await connectValidator(miner)
    expect(await again.next()).toEqual(aboutJob('V0ExecutorReadyRequest'))
    await again.send(work())
    await executor.next()
    await executor.send(finished())
    expect(await again.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
    await again.close()
  })

  it('get a missed result on every later connection until they ask for the job', async () => {
    const { validator, executor, order } = await runningJob()
    await validator.close()
    await executor.send(finished())
    await expect.poll(() => manager.stopped).toContain(order.token)
    for (const _ of [1, 2]) {
      await using later = await connectValidator(miner)
      expect(await later.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
      expect((await stored())?.deliveredAt).toBeNull()
    }
    await using asking = await connectValidator(miner)
    expect(await asking.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
    await using offering = await connectValidator(miner)
    expect(await offering.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
    await offering.send(offer())
    await offering.send({ ...offer(), job_uuid: randomUUID() as never, executor_class: 'none such' })
    expect(await offering.next(), 'a result is sent once per connection').toMatchObject({
      message_type: 'V0DeclineJobRequest',
    })
    expect((await stored())?.deliveredAt, 'it went out on a connection that offered the job').toBeInstanceOf(Date)
  })

  it('get accept, and later messages, on the connection that offers an open job again', async () => {
    const { validator, executor } = await readyJob()
    await using second = await connectValidator(miner)
    await second.send(offer())
    expect(await second.next()).toEqual(aboutJob('V0AcceptJobRequest'))
    expect(await second.next()).toEqual(aboutJob('V0ExecutorReadyRequest'))
    await second.send(work())
    await executor.next()
    await executor.send(finished())
    expect(await second.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
    await validator.close()
  })

  it('get the result, but no second ready, on another connection that sends the work', async () => {
    const { validator, executor } = await readyJob()
    await using second = await connectValidator(miner)
    await second.send(work())
    await executor.next()
    await executor.send(finished())
    expect(await second.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
    await validator.close()
  })

  it("never share a job with another validator's of the same uuid", async () => {
    const { validator, executor } = await runningJob()
    await using other = await connectValidator(miner, secondValidatorKey())
    await other.send(work())
    expect(await other.next()).toMatchObject({ message_type: 'GenericError' })
    await other.send(offer())
    expect(await other.next()).toEqual(aboutJob('V0AcceptJobRequest'))
    manager.exit((await manager.order()).token)
    expect(await other.next()).toEqual(aboutJob('V0ExecutorFailedRequest'))
    await executor.send(finished())
    expect(await validator.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
    await validator.close()
  })
})

describe('frames to validators', () => {
  it.each([
    [undefined, 1_000_000],
    [['large-frames'], 4_000_000],
  ])('capabilities %j: at most %i bytes', async (capabilities, most) => {
    await using validator = await connectValidator(miner, validatorKey(), capabilities)
    await validator.send(offer())
    await validator.next()
    const executor = await connectExecutor(await manager.order(), manager)
    await executor.next()
    await executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
    await validator.next()
    await validator.send(work())
    await executor.next()
    const text = 'ü'.repeat(900_000)
    await executor.send({ ...finished(text), docker_process_stderr: text })
    const result = await validator.next()
    expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThanOrEqual(most)
    const whole = JSON.stringify(result).includes(text)
    expect(whole).toBe(capabilities !== undefined)
  })

  it('limits the stored result too', async () => {
    const { validator, executor } = await runningJob()
    await executor.send(finished('x'.repeat(3_000_000)))
    expect(await validator.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
    expect((await stored())?.result?.stdout.length).toBeLessThanOrEqual(1_000_000)
    await validator.close()
  })
})
