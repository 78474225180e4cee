/** Receipts of v2026 that cannot be stored, and those that somebody else sends. */
import { randomUUID } from 'node:crypto'
import { connectValidator2026, offer2026 } from '@horde/testing/peers/v2026/validator'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startChain } from '../harness.ts'
import { startMiner2026 } from './started.ts'

let network: Awaited<ReturnType<typeof startChain>>
beforeAll(async () => {
  network = await startChain()
})
afterAll(() => network[Symbol.asyncDispose]())

it('takes an offer again whose receipt could not be stored, and keeps no trace of the first', async () => {
  const env = { EXECUTOR_COUNT: '1', MAX_OPEN_JOBS_PER_VALIDATOR: '1' }
  await using started = await startMiner2026({ env }, network)
  const { db } = started.miner
  await using validator = await connectValidator2026(started.miner)
  const offer = offer2026(randomUUID())
  await db.execute(sql`alter table receipts rename to receipts_away`)
  try {
    await validator.send(offer)
    expect(await validator.next()).toMatchObject({ message_type: 'GenericError' })
  } finally {
    await db.execute(sql`alter table receipts_away rename to receipts`)
  }
  await validator.send(offer)
  expect(await validator.next()).toMatchObject({ message_type: 'V0AcceptJobRequest' })
})
