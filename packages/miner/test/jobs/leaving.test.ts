/** Offers that come right behind the last result, while the executor of that job still cleans up, perhaps forever. */
import { randomUUID } from 'node:crypto'
import { type ManualClock, manualClock, systemClock } from '@horde/kit/time'
import { connectExecutor } from '@horde/testing/peers/executor'
import { Relay } from '@horde/testing/peers/relay'
import { connectValidator, secondValidatorKey } from '@horde/testing/peers/validator'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ExecutorOrder } from '../../src/horde/manager.ts'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'
import { offerOf, workOf } from '../messages.ts'

/** How long an executor may take to leave after its result, in ms: while no job waits for its slot, or one does. */
const LEAVE_MS = 10_000
const HURRIED_LEAVE_MS = 2_000
/** How long the miner waits for a validator to read a message, in ms. */
const SEND_WITHIN_MS = 60_000

let network: Awaited<ReturnType<typeof startChain>>
beforeAll(async () => {
  network = await startChain()
})
afterAll(() => network[Symbol.asyncDispose]())

let manager: ScriptedManager
let miner: TestMiner
/** Moves only the times that an executor may take to leave; all other times are the machine's. */
let waits: ManualClock
beforeEach(async () => {
  manager = new ScriptedManager()
  waits = manualClock()
  const isLeave = (ms: number) => ms === LEAVE_MS || ms === HURRIED_LEAVE_MS
  const never = manualClock()
  const clockFor = (ms: number) => (isLeave(ms) ? waits : ms === SEND_WITHIN_MS ? never : systemClock)
  const clock = { ...systemClock, sleep: (ms: number, signal?: AbortSignal) => clockFor(ms).sleep(ms, signal) }
  miner = await startTestMiner({
    ...{ chain: network.chain, chainUrl: network.url, manager, clock },
    env: { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: '1' },
  })
})
afterEach(() => miner[Symbol.asyncDispose]())

type Validator = Awaited<ReturnType<typeof connectValidator>>
type End = 'V0FinishedRequest' | 'V0FailedRequest' | 'V0FailedToPrepare'

/**
 * Plays a job whose executor answers, and does not exit.
 *
 * @param answering called before the executor answers; with it, this does not wait for the validator
 */
async function runJob(
  validator: Validator,
  end: End,
  { stdout = '', answering }: { stdout?: string; answering?: () => void } = {},
): Promise<ExecutorOrder> {
  const uuid = randomUUID()
  await validator.send(offerOf(uuid))
  expect(await validator.next()).toMatchObject({ message_type: 'V0AcceptJobRequest' })
  const order = await manager.order()
  const executor = await connectExecutor(order)
  await executor.next()
  const job_uuid = uuid as never
  if (end === 'V0FailedToPrepare') {
    await executor.send({ message_type: end, job_uuid })
    expect(await validator.next()).toMatchObject({ message_type: 'V0ExecutorFailedRequest' })
    return order
  }
  await executor.send({ message_type: 'V0ReadyRequest', job_uuid })
  await validator.next()
  await validator.send(workOf(uuid))
  await executor.next()
  answering?.()
  const output = { job_uuid, docker_process_stdout: stdout, docker_process_stderr: stdout }
  if (end === 'V0FinishedRequest') await executor.send({ message_type: end, ...output })
  else await executor.send({ message_type: end, docker_process_exit_status: 1, timeout: false, ...output })
  if (!answering) await validator.next()
  return order
}

async function accepted(validator: Validator): Promise<string> {
  const uuid = randomUUID()
  await validator.send(offerOf(uuid))
  expect(await validator.next()).toMatchObject({ message_type: 'V0AcceptJobRequest', job_uuid: uuid })
  return uuid
}

async function metrics(): Promise<string> {
  return (await fetch(`http://127.0.0.1:${miner.adminPort}/metrics`)).text()
}

it.each<End>(['V0FinishedRequest', 'V0FailedRequest', 'V0FailedToPrepare'])(
  'accepts the next offer right behind %s, and starts its executor once the last one has left',
  async end => {
    await using validator = await connectValidator(miner)
    const last = await runJob(validator, end)
    await accepted(validator)
    // One slot takes one job.
    await validator.send(offerOf(randomUUID()))
    expect(await validator.next()).toMatchObject({ message_type: 'V0DeclineJobRequest' })
    const next = manager.order()
    let isStarted = false
    void next.then(() => {
      isStarted = true
    })
    await waits.whenSleeping(2)
    expect(await metrics()).toContain('state="leaving"} 0')
    expect(isStarted).toBe(false)
    expect(manager.stopped).toEqual([])
    manager.exit(last.token, 'exit code 0')
    await connectExecutor(await next)
  },
)

it('kills an executor that never leaves two seconds after the next acceptance, and starts the next', async () => {
  await using validator = await connectValidator(miner)
  const last = await runJob(validator, 'V0FinishedRequest')
  await waits.whenSleeping(1)
  expect(await metrics()).toContain('state="leaving"} 1')
  await accepted(validator)
  const next = manager.order()
  await waits.whenSleeping(2)
  await waits.advance(HURRIED_LEAVE_MS - 1)
  expect(manager.stopped).toEqual([])
  await waits.advance(1)
  const order = await next
  expect(manager.stopped[0]).toBe(last.token)
  expect(manager.stops[0]).toEqual({ token: last.token, withinMs: 0 })
  await connectExecutor(order)
})

it('stops an executor that never leaves after ten seconds when no job waits', async () => {
  await using validator = await connectValidator(miner)
  const last = await runJob(validator, 'V0FinishedRequest')
  await waits.whenSleeping(1)
  await waits.advance(LEAVE_MS)
  await expect.poll(() => manager.stops).toEqual([{ token: last.token, withinMs: undefined }])
  await expect.poll(metrics).toContain('state="leaving"} 0')
  await accepted(validator)
  await connectExecutor(await manager.order())
})

describe('while a validator does not read the result', () => {
  /** A result that no socket's buffers take whole: JSON makes six bytes of each of these characters. */
  const LARGE_OUTPUT = '\u0001'.repeat(1_000_000)

  async function unread(relay: Relay) {
    const validator = await connectValidator(relay, undefined, ['large-frames'])
    const last = await runJob(validator, 'V0FinishedRequest', { stdout: LARGE_OUTPUT, answering: () => relay.freeze() })
    await expect.poll(metrics).toContain('state="leaving"} 1')
    return last
  }

  it('kills the executor two seconds after the next offer was accepted, and starts the next then', async () => {
    await using relay = await Relay.start(miner.port)
    const last = await unread(relay)
    await using second = await connectValidator(miner, secondValidatorKey())
    await accepted(second)
    const next = manager.order()
    await waits.whenSleeping(2)
    await waits.advance(HURRIED_LEAVE_MS)
    const order = await next
    expect(manager.stops[0]).toEqual({ token: last.token, withinMs: 0 })
    expect(await metrics(), 'the miner still waits for the validator').toMatch(/^miner_sessions 2$/m)
    await connectExecutor(order)
  })

  it('starts the next executor once the last one has exited', async () => {
    await using relay = await Relay.start(miner.port)
    const last = await unread(relay)
    await using second = await connectValidator(miner, secondValidatorKey())
    await accepted(second)
    manager.exit(last.token, 'exit code 0')
    await connectExecutor(await manager.order())
    expect(await metrics(), 'the miner still waits for the validator').toMatch(/^miner_sessions 2$/m)
  })
})
