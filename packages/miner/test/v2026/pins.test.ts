/** Unsigned offers and work of v2026: when they are taken, and when no more. */
import { randomUUID } from 'node:crypto'
import { manualClock, systemClock } from '@horde/kit/time'
import { connectExecutor2026 } from '@horde/testing/peers/v2026/executor'
import { connectValidator2026, offer2026, signed2026, work2026 } from '@horde/testing/peers/v2026/validator'
import { secondValidatorKey, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { removePin } from '../../src/db/receipts.ts'
import { pins } from '../../src/db/schema.ts'
import { Pins } from '../../src/receipts/pins.ts'
import { startChain } from '../harness.ts'
import { type Started, startMiner2026 } from './started.ts'

const DAY_MS = 86_400_000

let network: Awaited<ReturnType<typeof startChain>>
let started: Started
beforeAll(async () => {
  network = await startChain()
})
afterAll(() => network[Symbol.asyncDispose]())
beforeEach(async () => {
  started = await startMiner2026({ env: { EXECUTOR_COUNT: '4' } }, network)
})
afterEach(() => started[Symbol.asyncDispose]())

const DECLINED = { message_type: 'V0DeclineJobRequest', reason: 'invalid_signature' }
const REFUSED = { message_type: 'GenericError', details: expect.stringContaining('signed') }
const ACCEPTED = { message_type: 'V0AcceptJobRequest' }

it('takes unsigned offers until the validator signs one, on every connection of it alone', async () => {
  const { miner } = started
  await using first = await connectValidator2026(miner)
  await using other = await connectValidator2026(miner, secondValidatorKey())
  await first.send(offer2026(randomUUID()))
  expect(await first.next()).toMatchObject(ACCEPTED)
  const signed = randomUUID()
  await first.send(signed2026(offer2026(signed)))
  expect(await first.next()).toMatchObject({ ...ACCEPTED, job_uuid: signed })
  await first.send(offer2026(randomUUID()))
  expect(await first.next()).toMatchObject(DECLINED)
  await other.send(offer2026(randomUUID(), { key: secondValidatorKey() }))
  expect(await other.next()).toMatchObject(ACCEPTED)
  const text = await (await fetch(`http://127.0.0.1:${miner.adminPort}/metrics`)).text()
  expect(text).toContain('miner_offers_declined_total{executor_class="always_on.test",reason="unsigned"} 1')
})

it('refuses unsigned work of a job whose offer was signed, although the pin was lifted, and the job goes on', async () => {
  const { miner, manager } = started
  await using validator = await connectValidator2026(miner)
  const uuid = randomUUID()
  await validator.send(signed2026(offer2026(uuid)))
  await validator.next()
  await using executor = await connectExecutor2026(await manager.order())
  await executor.next()
  await executor.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid, executor_token: null })
  await validator.next()
  expect(await removePin(miner.db, validatorKey().ss58)).toBe(true)
  await validator.send(work2026(uuid, { docker_run_cmd: ['forged'] }))
  expect(await validator.next()).toMatchObject(REFUSED)
  await validator.send(signed2026(work2026(uuid)))
  expect(await executor.next()).toMatchObject({ docker_run_cmd: ['a'] })
  const text = await (await fetch(`http://127.0.0.1:${miner.adminPort}/metrics`)).text()
  expect(text).toContain('miner_frames_refused_total{reason="unsigned"} 1')
})

it('takes unsigned offers again once the pin was lifted', async () => {
  const { miner } = started
  await using validator = await connectValidator2026(miner)
  await validator.send(signed2026(offer2026(randomUUID())))
  await validator.next()
  expect(await removePin(miner.db, validatorKey().ss58)).toBe(true)
  await validator.send(offer2026(randomUUID()))
  expect(await validator.next()).toMatchObject(ACCEPTED)
})

describe('SIGNED_FRAMES_FROM', () => {
  it.each([
    ['past', '2026-01-01T00:00:00Z', DECLINED],
    ['in the future', '2999-01-01T00:00:00+02:00', ACCEPTED],
  ])('%s', async (_, from, answer) => {
    await using miner = await startMiner2026({ env: { SIGNED_FRAMES_FROM: from } }, network)
    await using validator = await connectValidator2026(miner.miner)
    await validator.send(offer2026(randomUUID()))
    expect(await validator.next()).toMatchObject(answer)
  })
})

describe('a pin', () => {
  const validator = validatorKey().ss58

  it('lasts for 7 days from the last good signature', async () => {
    const { db } = started.miner
    const clock = manualClock(systemClock.now())
    const pinned = new Pins(db, clock)
    await pinned.pin(validator)
    await clock.advance(3 * DAY_MS)
    await pinned.pin(validator)
    await clock.advance(7 * DAY_MS - 1)
    expect(await pinned.isPinned(validator)).toBe(true)
    expect(await new Pins(db, clock).isPinned(validator)).toBe(true)
    await clock.advance(2)
    expect(await pinned.isPinned(validator)).toBe(false)
  })

  it('is not stored again with every frame, but is once it was lifted', async () => {
    const { db } = started.miner
    const clock = manualClock(systemClock.now())
    const pinned = new Pins(db, clock)
    await pinned.pin(validator)
    await clock.advance(1_000)
    await pinned.pin(validator)
    const [row] = await db.select().from(pins)
    expect(row?.until.getTime()).toBe(clock.now() - 1_000 + 7 * DAY_MS)
    await removePin(db, validator)
    expect(await pinned.isPinned(validator)).toBe(false)
    await pinned.pin(validator)
    expect(await pinned.isPinned(validator)).toBe(true)
  })
})
