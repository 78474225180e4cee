/** Receipts and pins in both databases. */
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type Database, openDatabase } from '@horde/kit/database'
import { manualClock } from '@horde/kit/time'
import { startPostgres } from '@horde/testing/postgres'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { insertReceipt, pinnedUntil, removePin, removeReceipts, storePin } from '../../src/db/receipts.ts'
import { pins, receipts, type SignedReceipt } from '../../src/db/schema.ts'
import { Pins } from '../../src/receipts/pins.ts'

const migrationsFolder = fileURLToPath(new URL('../../drizzle', import.meta.url))
const NOW = Date.parse('2026-12-01T00:00:00Z')
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const signal = new AbortController().signal

const ENGINES = {
  pglite: async () => ({ url: 'pglite://memory', [Symbol.asyncDispose]: async () => {} }),
  postgres: startPostgres,
}

describe.each(Object.entries(ENGINES))('on %s', (_engine, start) => {
  let stack: AsyncDisposableStack
  let db: Database
  beforeAll(async () => {
    stack = new AsyncDisposableStack()
    const { url } = stack.use(await start())
    db = stack.use(await openDatabase({ url, migrationsFolder })).db
  })
  afterAll(() => stack.disposeAsync())
  beforeEach(async () => {
    await db.delete(receipts)
    await db.delete(pins)
  })

  describe('receipts', () => {
    const names = { miner_hotkey: '5M', timestamp: '2026-12-01T00:00:00Z' }
    const finished = (jobUuid: string, validator = '5V', score = '300.000000'): SignedReceipt => {
      const job = { job_uuid: jobUuid, validator_hotkey: validator, ...names }
      const times = {
        time_started: names.timestamp,
        time_took_us: 31_536_000_000_000,
        block_numbers: [0, 4_294_967_296],
      }
      const payload = { receipt_type: 'JobFinishedReceipt' as const, ...job, ...times, score_str: score }
      return { payload, validatorSignature: '0x01', minerSignature: '0x02' }
    }
    const accepted = (jobUuid: string): SignedReceipt => {
      const job = { job_uuid: jobUuid, validator_hotkey: '5V', ...names }
      const payload = { receipt_type: 'JobAcceptedReceipt' as const, ...job, time_accepted: names.timestamp, ttl: 60 }
      return { payload, validatorSignature: '0x03', minerSignature: '0x04' }
    }
    const store = (receipt: SignedReceipt, at = NOW) => insertReceipt(db, receipt, new Date(at))

    it('come back as they were signed', async () => {
      const receipt = finished(randomUUID())
      await store(receipt)
      expect(await db.select().from(receipts)).toEqual([
        {
          ...{ ...receipt, id: expect.any(Number), validator: '5V', jobUuid: receipt.payload.job_uuid },
          ...{ receiptType: 'JobFinishedReceipt', storedAt: new Date(NOW) },
        },
      ])
    })

    it('are stored once for each job, validator and type: the first one stays', async () => {
      const uuid = randomUUID()
      await Promise.all([store(finished(uuid)), store(accepted(uuid)), store(finished(uuid, '5Other'))])
      await Promise.all([store(finished(uuid, '5V', '0.000000')), store(finished(uuid, '5V', '1.000000'))])
      const rows = await db.select().from(receipts)
      expect(rows).toHaveLength(3)
      const scores = rows.flatMap(({ payload }) => ('score_str' in payload ? payload.score_str : []))
      expect(scores).toEqual(['300.000000', '300.000000'])
    })

    it('are removed by their age, many in batches', async () => {
      const old = Array.from({ length: 1_203 }, () => finished(randomUUID()))
      const rows = old.map(({ payload, ...signatures }) => {
        const { validator_hotkey: validator, job_uuid: jobUuid, receipt_type: receiptType } = payload
        return { payload, ...signatures, validator, jobUuid, receiptType, storedAt: new Date(NOW - 8 * DAY_MS) }
      })
      await db.insert(receipts).values(rows)
      await store(finished(randomUUID()), NOW - 7 * DAY_MS)
      const before = new Date(NOW - 7 * DAY_MS)
      expect(await removeReceipts(db, before, AbortSignal.abort()), 'while the miner stops').toBe(0)
      expect(await removeReceipts(db, before, signal)).toBe(1_203)
      expect(await db.$count(receipts)).toBe(1)
    })
  })

  describe('pins', () => {
    it('last for 7 days from the last good signature, also for a miner that started later', async () => {
      const clock = manualClock(NOW)
      await new Pins(db, clock).pin('5V')
      expect(await pinnedUntil(db, '5V')).toEqual(new Date(NOW + 7 * DAY_MS))
      const restarted = new Pins(db, clock)
      await clock.advance(7 * DAY_MS - 1)
      expect(await restarted.isPinned('5V')).toBe(true)
      expect(await restarted.isPinned('5Other')).toBe(false)
      await clock.advance(1)
      expect(await restarted.isPinned('5V')).toBe(false)
      await restarted.pin('5V')
      expect(await restarted.isPinned('5V')).toBe(true)
    })

    it('are written at most once an hour, whatever is signed meanwhile', async () => {
      const clock = manualClock(NOW)
      const own = new Pins(db, clock)
      await own.pin('5V')
      await clock.advance(HOUR_MS - 1)
      await own.pin('5V')
      expect(await pinnedUntil(db, '5V')).toEqual(new Date(NOW + 7 * DAY_MS))
      await clock.advance(1)
      await own.pin('5V')
      expect(await pinnedUntil(db, '5V')).toEqual(new Date(NOW + 7 * DAY_MS + HOUR_MS))
    })

    it('are lifted by a command in another process, and come back with the next good signature', async () => {
      const clock = manualClock(NOW)
      const own = new Pins(db, clock)
      await own.pin('5V')
      expect(await removePin(db, '5V')).toBe(true)
      expect(await removePin(db, '5V')).toBe(false)
      expect(await own.isPinned('5V')).toBe(false)
      await own.pin('5V')
      expect(await own.isPinned('5V')).toBe(true)
    })

    it('of two miners on one database do not collide', async () => {
      await Promise.all([storePin(db, '5V', new Date(NOW)), storePin(db, '5V', new Date(NOW + 1))])
      expect(await db.$count(pins)).toBe(1)
    })
  })
})
