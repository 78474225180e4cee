/** Tests every message of an executor in every state of its job: its answer, and which peers are sent something. */
import { randomUUID } from 'node:crypto'
import type { ExecutorMessage } from '@horde/protocol/v0/miner-executor'
import type { MinerMessage } from '@horde/protocol/v0/validator-miner'
import { connectExecutor } from '@horde/testing/peers/executor'
import { connectValidator, secondValidatorKey, type ValidatorPeer, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findJob } from '../../src/db/jobs.ts'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'
import { offerOf, workOf } from '../messages.ts'

let stack: AsyncDisposableStack
let miner: TestMiner
let bystander: ValidatorPeer
let uuid: string
const manager = new ScriptedManager()

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const { chain, url: chainUrl } = stack.use(await startChain())
  const env = { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: '2' }
  miner = stack.use(await startTestMiner({ chain, chainUrl, manager, env }))
  bystander = await connectValidator(miner, secondValidatorKey())
})
afterAll(async () => {
  await bystander.close()
  expect(await bystander.nextUntilClosed(), 'another validator receives nothing').toEqual([])
  await stack.disposeAsync()
})
beforeEach(() => {
  uuid = randomUUID()
})

type State = 'accepted' | 'ready' | 'running'

/** Brings a job into a state, and reads what its validator was sent about it. */
async function jobIn(state: State) {
  const validator = await connectValidator(miner)
  await validator.send(offerOf(uuid))
  await validator.next()
  const { token, ...order } = await manager.order()
  const executor = await connectExecutor({ ...order, token }, manager)
  await executor.next()
  if (state !== 'accepted') {
    await executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
    await validator.next()
  }
  if (state === 'running') {
    await validator.send(workOf(uuid))
    await executor.next()
  }
  return { validator, executor, token }
}

const output = { docker_process_stdout: 'out', docker_process_stderr: 'err' }
const MESSAGES = {
  V0ReadyRequest: {},
  V0FailedToPrepare: {},
  V0FinishedRequest: output,
  V0FailedRequest: { ...output, docker_process_exit_status: 3, timeout: false },
} as const

const messageOf = (message_type: keyof typeof MESSAGES, job_uuid: string) =>
  ({ message_type, job_uuid, ...MESSAGES[message_type] }) as unknown as ExecutorMessage

const stored = () => findJob(miner.db, validatorKey().ss58, uuid)

/** Ends the executor, so that all earlier messages are handled, and returns what the validator gets then. */
async function endOf({ validator, executor, token }: Awaited<ReturnType<typeof jobIn>>): Promise<string> {
  await executor.close()
  manager.exit(token)
  const { message_type } = await validator.next()
  await validator.close()
  return message_type
}

describe.each<[State, keyof typeof MESSAGES, string, string | null, MinerMessage['message_type'] | undefined]>([
  ['accepted', 'V0ReadyRequest', 'ready', null, 'V0ExecutorReadyRequest'],
  ['accepted', 'V0FailedToPrepare', 'broken', 'prepare-failed', 'V0ExecutorFailedRequest'],
  ['accepted', 'V0FinishedRequest', 'broken', 'out-of-order', 'V0ExecutorFailedRequest'],
  ['accepted', 'V0FailedRequest', 'broken', 'out-of-order', 'V0ExecutorFailedRequest'],
  ['ready', 'V0ReadyRequest', 'ready', null, undefined],
  ['ready', 'V0FailedToPrepare', 'broken', 'out-of-order', 'V0JobFailedRequest'],
  ['ready', 'V0FinishedRequest', 'broken', 'out-of-order', 'V0JobFailedRequest'],
  ['ready', 'V0FailedRequest', 'broken', 'out-of-order', 'V0JobFailedRequest'],
  ['running', 'V0ReadyRequest', 'running', null, undefined],
  ['running', 'V0FailedToPrepare', 'broken', 'out-of-order', 'V0JobFailedRequest'],
  ['running', 'V0FinishedRequest', 'finished', null, 'V0JobFinishedRequest'],
  ['running', 'V0FailedRequest', 'failed', 'exit-status', 'V0JobFailedRequest'],
])('in state %s, after %s', (from, message, to, reason, answer) => {
  it(`the job is ${to}`, async () => {
    const peers = await jobIn(from)
    await peers.executor.send(messageOf(message, uuid))
    if (answer === undefined) {
      expect(await endOf(peers), 'nothing was sent before').toBe('V0JobFailedRequest')
      return
    }
    const received = await peers.validator.next()
    expect(received).toMatchObject({ message_type: answer, job_uuid: uuid })
    if (to === 'broken' && answer === 'V0JobFailedRequest') {
      expect(received, 'what came out of order is no result').toMatchObject({
        docker_process_exit_status: null,
        docker_process_stdout: '',
      })
    }
    await expect.poll(stored).toMatchObject({ state: to, reason })
    if (to === 'ready') expect(await endOf(peers)).toBe('V0JobFailedRequest')
    await peers.validator.close()
  })
})

describe.each<State>(['accepted', 'ready', 'running'])('in state %s, a message about another job', state => {
  it('is answered with an error, unless it is one, and the job goes on', async () => {
    const peers = await jobIn(state)
    const { executor } = peers
    const other = randomUUID()
    const types = Object.keys(MESSAGES) as (keyof typeof MESSAGES)[]
    for (const type of types) {
      await executor.send(messageOf(type, other))
      expect(await executor.next()).toEqual({
        message_type: 'GenericError',
        details: 'This executor is for another job_uuid',
      })
    }
    await executor.send({ message_type: 'V0Nonsense', job_uuid: uuid } as never)
    expect(await executor.next()).toMatchObject({ message_type: 'GenericError' })
    await executor.send({ message_type: 'V0ReadyRequest' } as never)
    expect(await executor.next(), 'of no job').toMatchObject({ message_type: 'GenericError' })
    await executor.send({ message_type: 'GenericError', details: 'whatever' })
    expect(await stored()).toMatchObject({ state })
    const answer = state === 'accepted' ? 'V0ExecutorFailedRequest' : 'V0JobFailedRequest'
    expect(await endOf(peers)).toBe(answer)
  })
})

it('ends the job when the connection of an executor stays open after its exit', async () => {
  const { validator, executor, token } = await jobIn('running')
  manager.exit(token)
  expect(await validator.next()).toMatchObject({ message_type: 'V0JobFailedRequest' })
  await executor.close()
  await validator.close()
})

it('answers invalid frames with an error, and the job goes on', async () => {
  const validator = await connectValidator(miner)
  await validator.send(offerOf(uuid))
  await validator.next()
  const { minerAddress, token } = await manager.order()
  const ws = new WebSocket(`${minerAddress}/v0.1/executor_interface/${token}`)
  const received: { message_type: string }[] = []
  ws.onmessage = ({ data }) => received.push(JSON.parse(String(data)))
  await new Promise(resolve => {
    ws.onopen = resolve
  })
  for (const frame of ['{', '[]', '7', 'null', Buffer.from([1, 2, 3])]) ws.send(frame)
  await expect
    .poll(() => received.map(each => each.message_type))
    .toEqual(['V0PrepareJobRequest', ...Array(5).fill('GenericError')])
  ws.send(JSON.stringify({ message_type: 'V0FailedToPrepare', job_uuid: uuid }))
  expect(await validator.next()).toMatchObject({ message_type: 'V0ExecutorFailedRequest' })
  ws.close()
  manager.exit(token)
  await validator.close()
})

it('refuses the token of an ended job', async () => {
  const { validator, executor } = await jobIn('running')
  await executor.send(messageOf('V0FinishedRequest', uuid))
  await validator.next()
  const row = await stored()
  await expect.poll(() => manager.stopped).toContain(row?.executorToken)
  const order = { token: row?.executorToken ?? '', minerAddress: miner.url, executorClass: '', environment: {} }
  const again = await connectExecutor(order)
  expect(await again.next()).toMatchObject({ message_type: 'GenericError' })
  expect((await again.closed).code).toBe(1000)
  await validator.close()
})
