/** Receipts of v2026 that cannot be stored, and those that somebody else sends. */
import { randomUUID } from 'node:crypto'
import { connectExecutor2026 } from '@horde/testing/peers/v2026/executor'
import {
  connectValidator2026,
  dialMiner2026,
  offer2026,
  receipt2026,
  signed2026,
  work2026,
} from '@horde/testing/peers/v2026/validator'
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { receipts } from '../../src/db/schema.ts'
import { startChain } from '../harness.ts'
import { finishOf, playUntilRunning, startMiner2026 } from './started.ts'

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

it('moves no job to a connection that has not authenticated, whose receipts count for the jobs that it hears of', async () => {
  await using started = await startMiner2026({}, network)
  const { miner, manager } = started
  const first = await connectValidator2026(miner)
  const unsigned = await playUntilRunning(first, manager)
  await first.close()
  await using owner = await connectValidator2026(miner)
  // It takes over the unsigned job.
  for (const _ of unsigned.said) await owner.next()
  const uuid = randomUUID()
  await owner.send(signed2026(offer2026(uuid)))
  await owner.next()
  await using executor = await connectExecutor2026(await manager.order())
  await executor.next()
  await executor.send({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid, executor_token: null })
  await owner.next()
  await owner.send(signed2026(work2026(uuid)))
  await executor.next()

  await using listener = await dialMiner2026(miner)
  for (const _ of unsigned.said) await listener.next()
  await listener.send(receipt2026(uuid, 'accepted'))
  await listener.send(receipt2026(unsigned.uuid, 'accepted'))
  const accepted = eq(receipts.receiptType, 'JobAcceptedReceipt')
  const stored = async () => (await miner.db.select().from(receipts).where(accepted)).map(({ jobUuid }) => jobUuid)
  await expect.poll(stored).toContain(unsigned.uuid)
  expect(await stored(), 'that of a job which it does not hear of').not.toContain(uuid)
  await executor.send(finishOf(uuid))
  const ends: string[] = []
  while (!ends.includes('V0JobFinishedRequest')) {
    const message = await owner.next()
    if ('job_uuid' in message && message.job_uuid === uuid) ends.push(message.message_type)
  }
  await unsigned.executor.send(finishOf(unsigned.uuid))
  for (let type = ''; type !== 'V0JobFinishedRequest'; ) {
    const message = await listener.next()
    expect(message).toMatchObject({ job_uuid: unsigned.uuid })
    type = message.message_type
  }
  await unsigned.executor.close()
})
