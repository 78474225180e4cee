import { DatabaseError, inTransaction, openDatabase } from '@horde/kit/database'
import { createLog } from '@horde/kit/log'
import { startPostgres, type TestPostgres } from '@horde/testing/postgres'
import { sql } from 'drizzle-orm'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addJob, allJobs, migrationsFolder } from './jobs.ts'

/** A port that no test listens on. */
const UNUSED_PORT = 1
/** More than the connections of a pool. */
const MANY = 25

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startPostgres()
})

afterAll(() => postgres?.[Symbol.asyncDispose]())

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new Client(url)
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

test('migrates one process after the other, and leaves no lock', async () => {
  const url = await postgres.newDatabase()
  const opened = await Promise.all(Array.from({ length: 8 }, () => openDatabase({ url, migrationsFolder })))
  expect(await query(url, 'select count(*)::int as done from drizzle.__drizzle_migrations')).toEqual([{ done: 2 }])
  expect(await query(url, "select 1 from pg_locks where locktype = 'advisory'")).toEqual([])
  await Promise.all(opened.map(each => each[Symbol.asyncDispose]()))
  const own = 'select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()'
  expect(await query(url, own)).toEqual([])
})

test('fails only the queries in progress when the server restarts', async () => {
  const url = await postgres.newDatabase()
  await using opened = await openDatabase({ url, migrationsFolder })
  await Promise.all(Array.from({ length: MANY }, (_, id) => addJob(opened.db, { id, state: 'offered' })))
  const inside = Promise.withResolvers<void>()
  const restarted = Promise.withResolvers<void>()
  const broken = inTransaction(opened.db, async tx => {
    await addJob(tx, { id: 1_000, state: 'offered' })
    inside.resolve()
    await restarted.promise
    await addJob(tx, { id: 1_001, state: 'offered' })
  })
  const working = opened.db.execute(sql`select pg_sleep(60)`)
  const outcomes = Promise.allSettled([broken, working])
  await inside.promise
  await postgres.restart()
  restarted.resolve()
  expect((await outcomes).map(outcome => outcome.status)).toEqual(['rejected', 'rejected'])
  expect(await allJobs(opened.db)).toHaveLength(MANY)
})

test('fails queries while the server is away, and leaks no connection', async () => {
  const url = await postgres.newDatabase()
  await using opened = await openDatabase({ url, migrationsFolder })
  await postgres.stop()
  for (let i = 0; i < MANY; i += 1) {
    await expect(inTransaction(opened.db, tx => allJobs(tx))).rejects.toThrow()
    await expect(allJobs(opened.db)).rejects.toThrow()
  }
  await postgres.start()
  await Promise.all(
    Array.from({ length: MANY }, (_, id) => inTransaction(opened.db, tx => addJob(tx, { id, state: 'x' }))),
  )
  expect(await allJobs(opened.db)).toHaveLength(MANY)
})

test('rejects with the first error of a broken transaction', async () => {
  await using opened = await openDatabase({ url: await postgres.newDatabase(), migrationsFolder })
  const ended = inTransaction(opened.db, async tx => {
    await tx.execute(sql`select pg_terminate_backend(pg_backend_pid())`).catch(() => {})
    throw new Error('the reason')
  })
  await expect(ended).rejects.toThrow('the reason')
  expect(await allJobs(opened.db)).toEqual([])
})

test('resets what a transaction has set or locked on its connection', async () => {
  await using opened = await openDatabase({ url: await postgres.newDatabase(), migrationsFolder })
  const settings = async () => {
    const { rows } = await opened.db.execute<{ timeout: string; locks: number }>(sql`
      select current_setting('statement_timeout') as timeout,
        (select count(*)::int from pg_locks where locktype = 'advisory') as locks`)
    return rows[0]
  }
  const before = await settings()
  await inTransaction(opened.db, async tx => {
    await tx.execute(sql`set statement_timeout = 5`)
    await tx.execute(sql`select pg_advisory_lock(7)`)
  })
  expect(await settings()).toEqual(before)
  expect(before).toEqual({ timeout: '30s', locks: 0 })
})

test('waits for a server that starts late, and logs that it waits', async () => {
  const url = await postgres.newDatabase()
  await postgres.stop()
  const lines: string[] = []
  const waiting = Promise.withResolvers<void>()
  const write = (line: string) => {
    lines.push(JSON.parse(line).msg)
    waiting.resolve()
  }
  const opening = openDatabase({ url, migrationsFolder, log: createLog('test', { destination: { write } }) })
  await waiting.promise
  await postgres.start()
  await using opened = await opening
  expect(await allJobs(opened.db)).toEqual([])
  expect(lines[0]).toBe('database does not answer yet, trying again')
})

test('gives up a server that never answers, and when aborted', async () => {
  const url = `postgres://horde:hunter2@127.0.0.1:${UNUSED_PORT}/horde`
  const error = await openDatabase({ url, migrationsFolder, connectWithinMs: 300 }).catch(error => error)
  expect(error).toBeInstanceOf(DatabaseError)
  expect(error.message).toMatch(/^cannot connect to Postgres at horde@127\.0\.0\.1:\d+\/horde: connect ECONNREFUSED/)
  await expect(openDatabase({ url, migrationsFolder, signal: AbortSignal.timeout(50) })).rejects.toThrow('timeout')
})

test('does not wait for a database that does not exist', async () => {
  const url = postgres.url.replace(/\/[^/]*$/, '/nowhere').replace('postgres@', 'postgres:hunter2@')
  const error = await openDatabase({ url, migrationsFolder }).catch(error => error)
  expect(error.message).toMatch(/^cannot connect to Postgres at .*\/nowhere: database "nowhere" does not exist$/)
  expect(error.message).not.toContain('hunter2')
})
