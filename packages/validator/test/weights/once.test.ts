import { silentLog } from '@horde/kit/log'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { oneAtATime } from '../../src/db/lock.ts'
import { openTestDatabase, withPostgres } from '../databases.ts'
import { isScored, type Net, scored, setterOn, settingsOf, startNet } from './net.ts'

const postgres = withPostgres()
const LIMITED = 1
const FREE = 2

let net: Net
beforeAll(async () => {
  net = await startNet({
    subnets: [{ netuid: LIMITED, hyperparameters: { WeightsSetRateLimit: 50 } }, { netuid: FREE }],
  })
})
afterAll(() => net[Symbol.asyncDispose]())

it.each(['pglite', 'postgres'] as const)('submits once when called five times at once, on %s', async dialect => {
  const url = dialect === 'postgres' ? await postgres().newDatabase() : 'pglite://memory'
  await using database = await openTestDatabase(url)
  const { db } = database
  const batchId = await scored(db, FREE, [1, 2, 3])
  const tryLock = oneAtATime(dialect, url, 'weights', silentLog)
  const setter = setterOn(net, db, { tryLock })
  const before = net.devchain.blockNumber()
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => setter.set(FREE)))
  expect(outcomes.map(({ outcome }) => outcome).toSorted()).toEqual(['busy', 'busy', 'busy', 'busy', 'set'])
  expect(net.devchain.blockNumber() - before).toBe(1)
  expect(await settingsOf(db, FREE)).toMatchObject([{ state: 'included', batchIds: [batchId] }])
})

it('has no database transaction open while it sends weights', async () => {
  await using database = await openTestDatabase(await postgres().newDatabase())
  await using beside = await openTestDatabase(await postgres().newDatabase())
  const { db } = database
  await scored(db, FREE, [1, 2, 3])
  const inTransaction: unknown[] = []
  const collect = async () => {
    const { rows } = await beside.db.execute(
      sql`select query from pg_stat_activity
        where state like 'idle in transaction%' or xact_start < now() - interval '1 second'`,
    )
    inTransaction.push(...rows)
  }
  let calls = 0
  const watched = {
    setWeights: async (...args: Parameters<typeof net.chain.setWeights>) => {
      calls += 1
      await collect()
      const set = await net.chain.setWeights(...args)
      await collect()
      return set
    },
  }
  expect(await setterOn(net, db).set(FREE, { chain: watched })).toMatchObject({ outcome: 'set' })
  expect([calls, inTransaction]).toEqual([1, []])
})

it('sends and saves nothing within the rate limit, and waits when its end is near', async () => {
  await using database = await openTestDatabase()
  const { db } = database
  await net.mine(1)
  const setter = setterOn(net, db)
  expect(await setter.set(LIMITED)).toMatchObject({ outcome: 'set' })
  const batchId = await scored(db, LIMITED, [1, 2, 3])
  const { lastUpdate = 0 } = (await net.chain.metagraph(LIMITED)).neurons[0] ?? {}
  const before = net.devchain.blockNumber()
  expect(await setter.set(LIMITED)).toEqual({ outcome: 'too soon', dueAtBlock: lastUpdate + 50 })
  expect(net.devchain.blockNumber()).toBe(before)
  expect(await settingsOf(db, LIMITED)).toHaveLength(1)
  // The end of the limit is near enough to wait for.
  await net.mine(45)
  const waiting = setter.set(LIMITED)
  while (net.devchain.blockNumber() < lastUpdate + 50) {
    await net.mine(1)
    expect(await isScored(db, batchId)).toBe(false)
  }
  expect(await waiting).toMatchObject({ outcome: 'set' })
  expect(await isScored(db, batchId)).toBe(true)
})

it('sends nothing after it has lost the lock with its database connection', async () => {
  const url = await postgres().newDatabase()
  await using database = await openTestDatabase(url)
  const { db } = database
  await scored(db, FREE, [1, 2, 3])
  const tryLock = oneAtATime('postgres', url, 'lost', silentLog)
  const tryLockElsewhere = oneAtATime('postgres', url, 'lost', silentLog)
  let sent = 0
  const losing = {
    commitReveal: async (...args: Parameters<typeof net.chain.commitReveal>) => {
      await db.execute(
        sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'horde lock'`,
      )
      await expect
        .poll(async () => {
          await using other = await tryLockElsewhere()
          return other !== undefined
        })
        .toBe(true)
      return net.chain.commitReveal(...args)
    },
    setWeights: async (...args: Parameters<typeof net.chain.setWeights>) => {
      sent += 1
      return net.chain.setWeights(...args)
    },
  }
  await expect(setterOn(net, db, { tryLock }).set(FREE, { chain: losing })).rejects.toThrow('lock was lost')
  expect(sent).toBe(0)
  expect(await settingsOf(db, FREE)).toEqual([])
})
