/** Validators of v2026 that lose their connection, and what the miner repeats on the next one. */
import { randomUUID } from 'node:crypto'
import { systemClock } from '@horde/kit/time'
import { connectExecutor2026, type ExecutorPeer2026 } from '@horde/testing/peers/v2026/executor'
import {
  authentication2026,
  connectValidator2026,
  dialMiner2026,
  offer2026,
  receipt2026,
  signed2026,
  type ValidatorPeer2026,
  work2026,
} from '@horde/testing/peers/v2026/validator'
import { secondValidatorKey } from '@horde/testing/peers/validator'
import { eq } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { jobs, receipts } from '../../src/db/schema.ts'
import { startChain } from '../harness.ts'
import { finishOf, playUntilRunning, type Started, startMiner2026 } from './started.ts'

let network: Awaited<ReturnType<typeof startChain>>
let started: Started
beforeAll(async () => {
  network = await startChain()
})
afterAll(() => network[Symbol.asyncDispose]())
beforeEach(async () => {
  started = await startMiner2026({}, network)
})
afterEach(() => started[Symbol.asyncDispose]())

/** Returns the types of the next messages. */
async function typesOf(peer: ValidatorPeer2026, count: number): Promise<string[]> {
  const types: string[] = []
  while (types.length < count) types.push((await peer.next()).message_type)
  return types
}

const UNTIL_READY = ['V0AcceptJobRequest', 'V0ExecutorReadyRequest']
const STEPS = ['V0VolumesReadyRequest', 'V0ExecutionDoneRequest']

async function report(executor: ExecutorPeer2026, uuid: string, types: string[]): Promise<void> {
  for (const message_type of types) await executor.send({ message_type, job_uuid: uuid })
}

async function untilDelivered(uuid: string): Promise<void> {
  const deliveredAt = async () =>
    (await started.miner.db.select().from(jobs).where(eq(jobs.uuid, uuid)))[0]?.deliveredAt
  await expect.poll(deliveredAt).not.toBeNull()
}

describe('a validator of October, which authenticates again', () => {
  it('gets every stage message of its open job, in order, and the result there', async () => {
    const { miner, manager } = started
    const first = await connectValidator2026(miner)
    const { uuid, executor } = await playUntilRunning(first, manager)
    await first.close()
    await report(executor, uuid, STEPS.slice(0, 1))
    await using second = await dialMiner2026(miner)
    // Its client sends two when the first connection ended before its authentication was out.
    await second.send(authentication2026())
    await second.send(authentication2026())
    const types = await typesOf(second, 5)
    expect(types.filter(type => type === 'V0ExecutorManifestRequest')).toHaveLength(2)
    expect(types.filter(type => type !== 'V0ExecutorManifestRequest')).toEqual([...UNTIL_READY, STEPS[0]])
    await report(executor, uuid, STEPS)
    await executor.send(finishOf(uuid))
    expect(await typesOf(second, 2)).toEqual([STEPS[1], 'V0JobFinishedRequest'])
    await second.send(receipt2026(uuid, 'finished'))
    await untilDelivered(uuid)
    await executor.close()
  })

  it('sends the work of a job that was ready on the new connection', async () => {
    const { miner, manager } = started
    const first = await connectValidator2026(miner)
    const uuid = randomUUID()
    await first.send(signed2026(offer2026(uuid)))
    await first.next()
    await using executor = await connectExecutor2026(await manager.order())
    await executor.next()
    await first.close()
    await executor.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid, executor_token: null })
    await using second = await connectValidator2026(miner)
    expect(await typesOf(second, 2)).toEqual(UNTIL_READY)
    await second.send(signed2026(work2026(uuid)))
    expect(await executor.next()).toMatchObject({ message_type: 'V0JobRequest' })
  })

  it('gets the result of a job that ended while it was away, until the receipt is there', async () => {
    const { miner, manager } = started
    const first = await connectValidator2026(miner)
    const { uuid, executor, token } = await playUntilRunning(first, manager)
    await first.close()
    await executor.send(finishOf(uuid))
    await executor.close()
    manager.exit(token, 'exit code 0')
    for (const _ of ['once', 'and again']) {
      await using later = await connectValidator2026(miner)
      expect(await typesOf(later, 5)).toEqual([...UNTIL_READY, ...STEPS, 'V0JobFinishedRequest'])
    }
    await using last = await connectValidator2026(miner)
    await typesOf(last, 5)
    await last.send(receipt2026(uuid, 'finished'))
    await untilDelivered(uuid)
    await using after = await connectValidator2026(miner)
    await after.send({ message_type: 'V0MainHotkeyMessage', main_hotkey: null })
    expect(await typesOf(after, 1)).toEqual(['V0MainHotkeyMessage'])
  })

  it('gets an end that it has read again on each new connection, until the receipt is there', async () => {
    const { miner, manager } = started
    const first = await connectValidator2026(miner)
    const { uuid, executor, token } = await playUntilRunning(first, manager)
    await report(executor, uuid, STEPS)
    await executor.send(finishOf(uuid))
    expect(await typesOf(first, 3)).toEqual([...STEPS, 'V0JobFinishedRequest'])
    await untilDelivered(uuid)
    await using poll = await connectValidator2026(miner)
    await poll.send({ message_type: 'V0MainHotkeyMessage', main_hotkey: null })
    expect(await typesOf(poll, 1), 'while its connection is there').toEqual(['V0MainHotkeyMessage'])
    await first.close()
    for (const hasLeft of [false, true]) {
      await using later = await connectValidator2026(miner)
      expect(await typesOf(later, 5)).toEqual([...UNTIL_READY, ...STEPS, 'V0JobFinishedRequest'])
      await executor.close()
      if (!hasLeft) manager.exit(token, 'exit code 0')
    }
    await using last = await connectValidator2026(miner)
    await typesOf(last, 5)
    await last.send(receipt2026(uuid, 'finished'))
    await expect.poll(async () => (await miner.db.select().from(receipts)).length).toBe(2)
    await using after = await connectValidator2026(miner)
    await after.send({ message_type: 'V0MainHotkeyMessage', main_hotkey: null })
    expect(await typesOf(after, 1)).toEqual(['V0MainHotkeyMessage'])
  })

  it('gets nothing of a job on connections that it opened long before the loss', async () => {
    let aheadMs = 0
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs }
    await using own = await startMiner2026({ clock }, network)
    const { miner, manager } = own
    const first = await connectValidator2026(miner)
    const { uuid, executor } = await playUntilRunning(first, manager)
    await using other = await connectValidator2026(miner)
    aheadMs = 10_000
    await first.close()
    await using second = await connectValidator2026(miner)
    expect(await typesOf(second, 2)).toEqual(UNTIL_READY)
    await executor.send(finishOf(uuid))
    expect(await typesOf(second, 3)).toEqual([...STEPS, 'V0JobFinishedRequest'])
    await other.send({ message_type: 'V0MainHotkeyMessage', main_hotkey: null })
    expect(await typesOf(other, 1)).toEqual(['V0MainHotkeyMessage'])
    await executor.close()
  })

  it('is told nothing of the jobs of others', async () => {
    const { miner, manager } = started
    const first = await connectValidator2026(miner)
    const { executor } = await playUntilRunning(first, manager)
    await first.close()
    await using other = await connectValidator2026(miner, secondValidatorKey())
    await other.send({ message_type: 'V0MainHotkeyMessage', main_hotkey: null })
    expect(await typesOf(other, 1)).toEqual(['V0MainHotkeyMessage'])
    await executor.close()
  })
})

describe('a validator of January, which does not authenticate again', () => {
  it('gets the messages of its unsigned job there, and may send receipts alone', async () => {
    const { miner, manager } = started
    const first = await connectValidator2026(miner)
    const { uuid, executor } = await playUntilRunning(first, manager)
    await first.close()
    await using second = await dialMiner2026(miner)
    expect(await typesOf(second, 2)).toEqual(UNTIL_READY)
    await report(executor, uuid, STEPS)
    await executor.send(finishOf(uuid))
    expect(await typesOf(second, 3)).toEqual([...STEPS, 'V0JobFinishedRequest'])
    await second.send(receipt2026(uuid, 'finished'))
    await untilDelivered(uuid)
    await executor.close()
  })

  it('is refused when it sends work there', async () => {
    const { miner, manager } = started
    const first = await connectValidator2026(miner)
    const { uuid } = await playUntilRunning(first, manager)
    await first.close()
    await using second = await dialMiner2026(miner)
    await typesOf(second, 2)
    await second.send(work2026(uuid))
    expect(await typesOf(second, 1)).toEqual(['GenericError'])
    expect((await second.closed).code).toBe(1000)
  })

  it('gets nothing of a job whose offer was signed', async () => {
    const { miner } = started
    const first = await connectValidator2026(miner)
    await first.send(signed2026(offer2026(randomUUID())))
    await first.next()
    await first.close()
    await using second = await dialMiner2026(miner)
    // Nothing but the end of its time to authenticate.
    expect(await typesOf(second, 1)).toEqual(['GenericError'])
  })

  it('may authenticate after all', async () => {
    const { miner, manager } = started
    const first = await connectValidator2026(miner)
    const { uuid, executor } = await playUntilRunning(first, manager)
    await first.close()
    await using second = await dialMiner2026(miner)
    await typesOf(second, 2)
    await second.send(authentication2026())
    expect(await typesOf(second, 1)).toEqual(['V0ExecutorManifestRequest'])
    await executor.send(finishOf(uuid))
    expect(await typesOf(second, 5)).toEqual([...UNTIL_READY, ...STEPS, 'V0JobFinishedRequest'])
    await executor.close()
  })
})
