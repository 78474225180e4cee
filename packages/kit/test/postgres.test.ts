import { DatabaseError, inTransaction, openDatabase } from '@horde/kit/database'
import { createLog } from '@horde/kit/log'
import { startPostgres, type TestPostgres } from '@horde/testing/postgres'
import { sql } from 'drizzle-orm'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addJob, allJobs, migrationsFolder } from './jobs.ts'

/** A port that no test listens on. */
const NOBODY = 1
/** More than a pool has connections. */
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

test('processes that start at once migrate one after the other, and leave no lock', async () => {
  const url = await postgres.newDatabase()
  const opened = await Promise.all(Array.from({ length: 8 }, () => openDatabase({ url, migrationsFolder })))
  expect(await query(url, 'select count(*)::int as done from drizzle.__drizzle_migrations')).toEqual([{ done: 2 }])
  expect(await query(url, "select 1 from pg_locks where locktype = 'advisory'")).toEqual([])
  await Promise.all(opened.map(each => each[Symbol.asyncDispose]()))
  const own = 'select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()'
  expect(await query(url, own)).toEqual([])
})

test('a restart of the server breaks what is under way, and nothing else', async () => {
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

test('while the server is away queries fail, and transactions use no connection up', async () => {
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

test('the first error of a broken transaction is the one that is told', async () => {
  await using opened = await openDatabase({ url: await postgres.newDatabase(), migrationsFolder })
  const ended = inTransaction(opened.db, async tx => {
    await tx.execute(sql`select pg_terminate_backend(pg_backend_pid())`).catch(() => {})
    throw new Error('the reason')
  })
  await expect(ended).rejects.toThrow('the reason')
  expect(await allJobs(opened.db)).toEqual([])
})

test('what a transaction sets or locks does not stay on the connection', async () => {
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

test('a server that starts late is waited for; its owner is told', async () => {
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

test('a server that never comes is given up, and so is one that we no longer want', async () => {
  const url = `postgres://horde:hunter2@127.0.0.1:${NOBODY}/horde`
  const error = await openDatabase({ url, migrationsFolder, connectWithinMs: 300 }).catch(error => error)
  expect(error).toBeInstanceOf(DatabaseError)
  expect(error.message).toMatch(/^cannot connect to Postgres at horde@127\.0\.0\.1:\d+\/horde: connect ECONNREFUSED/)
  await expect(openDatabase({ url, migrationsFolder, signal: AbortSignal.timeout(50) })).rejects.toThrow('timeout')
})

test('a database that does not exist is not waited for', async () => {
  const url = postgres.url.replace(/\/[^/]*$/, '/nowhere').replace('postgres@', 'postgres:hunter2@')
  const error = await openDatabase({ url, migrationsFolder }).catch(error => error)
  expect(error.message).toMatch(/^cannot connect to Postgres at .*\/nowhere: database "nowhere" does not exist$/)
  expect(error.message).not.toContain('hunter2')
})
