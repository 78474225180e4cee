/** Tests which results count as delivered, and which connections get what a dead one may have missed. */
import { randomUUID } from 'node:crypto'
import { connectExecutor } from '@horde/testing/peers/executor'
import { Relay } from '@horde/testing/peers/relay'
import { connectValidator, secondValidatorKey, type ValidatorPeer, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { findJob, insertJob } from '../../src/db/jobs.ts'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'
import { offerOf, workOf } from '../messages.ts'
import { moveStored } from '../stored-jobs.ts'

let stack: AsyncDisposableStack
let miner: TestMiner
let uuid: string
const manager = new ScriptedManager()

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const { chain, url: chainUrl } = stack.use(await startChain())
  const env = { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: '4' }
  miner = stack.use(await startTestMiner({ chain, chainUrl, manager, env }))
})
afterAll(() => stack.disposeAsync())
beforeEach(() => {
  uuid = randomUUID()
})

const offer = () => offerOf(uuid)
const work = () => workOf(uuid)
const aboutJob = (message_type: string) => ({ message_type, job_uuid: uuid })
const stored = () => findJob(miner.db, validatorKey().ss58, uuid)

/** Offers a job on a connection, and returns its executor once it received the order to prepare. */
async function offered(validator: ValidatorPeer) {
  await validator.send(offer())
  expect(await validator.next()).toEqual(aboutJob('V0AcceptJobRequest'))
  const executor = await connectExecutor(await manager.order(), manager)
  await executor.next()
  return {
    ready: () => executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never }),
    finish: async () => {
      expect(await executor.next()).toMatchObject(aboutJob('V0RunJobRequest'))
      const output = { docker_process_stdout: 'answer', docker_process_stderr: '' }
      await executor.send({ message_type: 'V0FinishedRequest', job_uuid: uuid as never, ...output })
    },
  }
}

/** Proves that nothing else was sent on a connection: the answer to this comes next. */
async function isSilent(peer: ValidatorPeer): Promise<void> {
  await peer.send({ message_type: 'V0JobRequest', probe: true } as never)
  expect(await peer.next()).toMatchObject({ message_type: 'GenericError', details: expect.stringContaining('must') })
}

it('sends a result that was lost on a dead connection to the next one', async () => {
  await using relay = await Relay.start(miner.port)
  const lost = await connectValidator(relay)
  const executor = await offered(lost)
  await executor.ready()
  await lost.next()
  await lost.send(work())
  await expect.poll(async () => (await stored())?.state).toBe('running')
  relay.freeze()
  await executor.finish()
  await expect.poll(async () => (await stored())?.state).toBe('finished')
  relay.cut()
  await using later = await connectValidator(miner)
  expect(await later.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
  expect((await stored())?.deliveredAt).toBeNull()
  await later.send(offer())
  await expect.poll(async () => (await stored())?.deliveredAt).toBeInstanceOf(Date)
  await isSilent(later)
})

it('sends ready and result to an earlier connection once the old one is found dead', async () => {
  await using relay = await Relay.start(miner.port)
  const lost = await connectValidator(relay)
  const executor = await offered(lost)
  relay.freeze()
  await executor.ready()
  await expect.poll(async () => (await stored())?.state).toBe('ready')
  await using second = await connectValidator(miner)
  await isSilent(second)
  relay.cut()
  expect(await second.next()).toEqual(aboutJob('V0ExecutorReadyRequest'))

  await using anotherRelay = await Relay.start(miner.port)
  const origin = await connectValidator(anotherRelay)
  await origin.send(work())
  await expect.poll(async () => (await stored())?.state).toBe('running')
  await using third = await connectValidator(miner)
  anotherRelay.freeze()
  await executor.finish()
  await expect.poll(async () => (await stored())?.state).toBe('finished')
  await isSilent(third)
  anotherRelay.cut()
  expect(await third.next(), 'authenticated since').toMatchObject(aboutJob('V0JobFinishedRequest'))
  await isSilent(second)
  await third.send(work())
  await expect.poll(async () => (await stored())?.deliveredAt).toBeInstanceOf(Date)
})

it('delivers on the connection that offered the job when the one that sent its work is closed', async () => {
  await using offering = await connectValidator(miner)
  const executor = await offered(offering)
  await executor.ready()
  expect(await offering.next()).toEqual(aboutJob('V0ExecutorReadyRequest'))
  const working = await connectValidator(miner)
  await working.send(work())
  await expect.poll(async () => (await stored())?.state).toBe('running')
  await working.close()
  await executor.finish()
  expect(await offering.next()).toMatchObject(aboutJob('V0JobFinishedRequest'))
  await expect.poll(async () => (await stored())?.deliveredAt).toBeInstanceOf(Date)
})

it('answers an offer while undelivered results are still being sent', async () => {
  const validator = secondValidatorKey()
  const undelivered = 60
  for (let index = 0; index < undelivered; index += 1) {
    const job = {
      validator: validator.ss58,
      uuid: randomUUID(),
      executorClass: 'always_on.test',
      imageName: null,
      place: null,
    }
    const rest = { timeoutSeconds: 1, volumeType: 'inline', executorToken: randomUUID(), state: 'running' as const }
    const row = await insertJob(miner.db, { ...job, ...rest }, new Date())
    const result = { exitStatus: 0, stdout: 'x'.repeat(100_000), stderr: '' }
    await moveStored(miner.db, row?.id ?? 0, { to: 'finished', result }, new Date())
  }
  await using peer = await connectValidator(miner, validator)
  await peer.send({ ...offer(), executor_class: 'none such' })
  const received: string[] = []
  while (received.length < undelivered + 1) received.push((await peer.next()).message_type)
  expect(received.filter(type => type === 'V0JobFinishedRequest')).toHaveLength(undelivered)
  expect(received.indexOf('V0DeclineJobRequest')).toBeLessThan(undelivered / 2)
})
