/** Receipts and pins in both databases. */
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type Database, openDatabase } from '@horde/kit/database'
import { manualClock } from '@horde/kit/time'
import { startPostgres } from '@horde/testing/postgres'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { unconfirmedJobs } from '../../src/db/jobs.ts'
import { insertReceipt, pinnedUntil, removePin, removeReceipts, storePin } from '../../src/db/receipts.ts'
import { jobs, pins, receipts, type SignedReceipt } from '../../src/db/schema.ts'
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
    await db.delete(jobs)
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

  it('ends of v2026 are unconfirmed until their receipt is there, others until they are delivered', async () => {
    const at = (ms: number) => new Date(NOW - ms)
    const store = async (changes: Partial<typeof jobs.$inferInsert> = {}, types: SignedReceipt[] = []) => {
      const uuid = randomUUID().toUpperCase()
      const about = { validator: '5V', uuid, uuidKey: uuid.toLowerCase(), executorClass: 'always_on.test' }
      const rest = {
        volumeType: 'inline',
        executorToken: '',
        state: 'finished',
        offeredAt: at(0),
        endedAt: at(0),
      } as const
      const [row] = await db
        .insert(jobs)
        .values({ ...about, ...rest, ...changes })
        .returning({ id: jobs.id })
      for (const { payload, ...signatures } of types) {
        await insertReceipt(db, { payload: { ...payload, job_uuid: about.uuidKey }, ...signatures }, at(0))
      }
      return row?.id
    }
    const common = { job_uuid: '', validator_hotkey: '5V', miner_hotkey: '5M', timestamp: '2026-12-01T00:00:00Z' }
    const offer = { ...common, executor_class: 'always_on.test' as const, is_organic: true, ttl: 7 }
    const end = { ...common, time_started: common.timestamp, time_took_us: 1, score_str: '1', block_numbers: [] }
    const signatures = { validatorSignature: '0x1', minerSignature: '0x2' }
    const started: SignedReceipt = { payload: { receipt_type: 'JobStartedReceipt', ...offer }, ...signatures }
    const ended: SignedReceipt = { payload: { receipt_type: 'JobFinishedReceipt', ...end }, ...signatures }
    const read = { deliveredAt: at(0) }

    const found = [
      await store({ endedAt: at(600_000) }, [started]),
      await store({ ...read, endedAt: at(599_000), state: 'failed' }, [started]),
      await store({ endedAt: at(500_000), state: 'broken' }),
    ]
    await store(read)
    await store({}, [started, ended])
    await store({ ...read, endedAt: at(600_001) }, [started])
    await store({ state: 'rejected' })
    await store({ state: 'running', endedAt: null }, [started])
    await store({ validator: '5Other' }, [])
    expect(await unconfirmedJobs(db, '5V', at(600_000))).toEqual(found)
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
