import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Database, DatabaseError, inTransaction, openDatabase } from '@horde/kit/database'
import { prepareMigration, schemaState } from '@horde/kit/database/schema-state'
import { startPostgres, type TestPostgres } from '@horde/testing/postgres'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addJob, allJobs, migrationsFolder, moveJob } from './jobs.ts'

let postgres: TestPostgres
let folder: string
let made: Promise<void> | undefined

beforeAll(async () => {
  postgres = await startPostgres()
  folder = await mkdtemp(join(tmpdir(), 'horde-kit-'))
})

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const engines = {
  postgres: () => postgres.newDatabase(),
  /** A copy of a template, because PGlite takes seconds to create a database. */
  async pglite() {
    made ??= openDatabase({ url: `pglite://${folder}/deep/made`, migrationsFolder }).then(db =>
      db[Symbol.asyncDispose](),
    )
    await made
    const copy = await mkdtemp(join(folder, 'copy-'))
    await cp(join(folder, 'deep', 'made'), copy, { recursive: true })
    return `pglite://${copy}`
  },
}

/**
 * A release with some of the migrations; `oldestReader`: the last one that the oldest release knows which can read its
 * tables.
 */
async function releaseWith(tags: readonly string[], oldestReader?: string): Promise<string> {
  const path = await mkdtemp(join(folder, 'release-'))
  await cp(migrationsFolder, path, { recursive: true })
  await writeFile(join(path, '0002_third.sql'), 'alter table jobs add column note text;')
  const entries = tags.map((tag, idx) => ({
    idx,
    version: '7',
    when: 1_760_000_000_000 + idx * 1000,
    tag,
    breakpoints: true,
  }))
  await writeFile(join(path, 'meta/_journal.json'), JSON.stringify({ version: '7', dialect: 'postgresql', entries }))
  if (oldestReader !== undefined)
    await writeFile(join(path, 'oldest-reader.json'), JSON.stringify({ tag: oldestReader }))
  return path
}

/** Returns why another release refuses the open database; undefined when it accepts it. */
async function refusalOf({ db }: { db: Database }, migrationsFolder: string): Promise<Error | undefined> {
  return prepareMigration(db, migrationsFolder).then(
    () => undefined,
    (error: Error) => error,
  )
}

describe.each(Object.entries(engines))('on %s', (dialect, newUrl) => {
  test('runs the same queries, and keeps the data after reopening', async () => {
    const url = await newUrl()
    const createdAt = new Date('2026-01-02T03:04:05.678Z')
    {
      await using opened = await openDatabase({ url, migrationsFolder })
      expect(opened.dialect).toBe(dialect)
      await addJob(opened.db, { id: 1, state: 'offered', createdAt, detail: { reason: 'ä"' }, size: 2n ** 60n })
      expect(await moveJob(opened.db, 1, ['offered'], 'accepted')).toBe(true)
      expect(await moveJob(opened.db, 1, ['offered'], 'accepted')).toBe(false)
    }
    await using opened = await openDatabase({ url, migrationsFolder })
    const job = { id: 1, state: 'accepted', createdAt, detail: { reason: 'ä"' }, size: 2n ** 60n }
    expect(await allJobs(opened.db)).toEqual([job])
    const { rows } = await opened.db.execute<{ two: number }>(sql`select 1 + 1 as two`)
    expect(rows).toEqual([{ two: 2 }])
  })

  test('opens without migrating, and lists the pending migrations', async () => {
    const url = await newUrl()
    {
      await using opened = await openDatabase({ url, migrationsFolder })
      expect(await schemaState(opened.db, migrationsFolder)).toEqual({ pending: [] })
      await opened.db.execute(sql`delete from drizzle.__drizzle_migrations where id = 2`)
    }
    {
      await using asItIs = await openDatabase({ url })
      expect(await schemaState(asItIs.db, migrationsFolder)).toEqual({ pending: ['0001_second'] })
      await asItIs.db.execute(sql`drop schema drizzle cascade`)
    }
    await using bare = await openDatabase({ url })
    expect(await schemaState(bare.db, migrationsFolder)).toEqual({ pending: ['0000_first', '0001_second'] })
  })

  test('refuses a schema that a newer release has migrated, and leaves it as it is', async () => {
    const url = await newUrl()
    const count = sql`select count(*)::int as count from drizzle.__drizzle_migrations`
    const newer = Date.UTC(2099, 0, 2)
    {
      await using opened = await openDatabase({ url, migrationsFolder })
      await opened.db.execute(sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('x', ${newer})`)
    }
    const error = await openDatabase({ url, migrationsFolder }).catch(error => error)
    expect(error).toBeInstanceOf(DatabaseError)
    expect(error.problem).toBe('newer')
    expect(error.message).toBe(
      'a newer release has changed the database (1 migration, the last of 2099-01-02), ' +
        'and this release knows only up to 0001_second',
    )
    await using asItIs = await openDatabase({ url })
    expect(await schemaState(asItIs.db, migrationsFolder)).toEqual({ pending: [], refusal: error.message })
    expect((await asItIs.db.execute<{ count: number }>(count)).rows).toEqual([{ count: 3 }])
  })

  test('lets the release before use a newer schema that allows it, and refuses older ones', async () => {
    const url = await newUrl()
    const newest = await releaseWith(['0000_first', '0001_second', '0002_third'], '0001_second')
    const oldest = await releaseWith(['0000_first'])
    {
      await using opened = await openDatabase({ url, migrationsFolder: newest })
      await addJob(opened.db, { id: 1, state: 'offered' })
    }
    for (const _ of Array(2)) {
      await using opened = await openDatabase({ url, migrationsFolder })
      expect(await schemaState(opened.db, migrationsFolder)).toEqual({ pending: [] })
      expect(await allJobs(opened.db)).toHaveLength(1)
      const error = await refusalOf(opened, oldest)
      expect(error).toMatchObject({ problem: 'newer', message: expect.stringContaining('only up to 0000_first') })
    }
    await using opened = await openDatabase({ url, migrationsFolder: newest })
    expect(await allJobs(opened.db)).toHaveLength(1)
  })

  test('commits or rolls back a transaction as a whole, also a nested one', async () => {
    await using opened = await openDatabase({ url: await newUrl(), migrationsFolder })
    const failing = inTransaction(opened.db, async tx => {
      await addJob(tx, { id: 1, state: 'offered' })
      throw new Error('undo')
    })
    await expect(failing).rejects.toThrow('undo')
    const states = await inTransaction(opened.db, async tx => {
      await addJob(tx, { id: 2, state: 'offered' })
      const inner = (inside: Database) => addJob(inside, { id: 2, state: 'again' })
      await expect(inTransaction(tx, inner)).rejects.toThrow()
      await moveJob(tx, 2, ['offered'], 'accepted')
      return (await allJobs(tx)).map(job => job.state)
    })
    expect(states).toEqual(['accepted'])
    expect((await allJobs(opened.db)).map(job => job.id)).toEqual([2])
  })

  test('lets one of many concurrent moves of a job succeed', async () => {
    await using opened = await openDatabase({ url: await newUrl(), migrationsFolder })
    await addJob(opened.db, { id: 1, state: 'offered' })
    const moves = Array.from({ length: 20 }, (_, i) =>
      inTransaction(opened.db, tx => moveJob(tx, 1, ['offered'], `by ${i}`)),
    )
    expect((await Promise.all(moves)).filter(Boolean)).toHaveLength(1)
  })

  test('rejects a folder without migrations, and can be opened again', async () => {
    const url = await newUrl()
    await expect(openDatabase({ url, migrationsFolder: '/nowhere' })).rejects.toThrow()
    await using opened = await openDatabase({ url, migrationsFolder })
    expect(await allJobs(opened.db)).toEqual([])
  })
})

test('a database in memory leaves nothing on the disk', async () => {
  const before = await readdir('.')
  await using opened = await openDatabase({ url: 'pglite://memory', migrationsFolder })
  await addJob(opened.db, { id: 1, state: 'offered' })
  expect(await allJobs(opened.db)).toHaveLength(1)
  expect(await readdir('.')).toEqual(before)
})

test('creates no database when opened without migrations', async () => {
  const path = join(folder, 'never-made')
  const error = await openDatabase({ url: `pglite://${path}` }).catch(error => error)
  expect([error.message, error.problem]).toEqual([`there is no database in ${path} yet`, 'missing'])
  await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
})

test.each(['mysql://u:hunter2@h/db', 'hunter2', 'postgres://u:hunter2/x@h/db', 'pglite://', ''])(
  'a wrong URL is refused without repeating it: %s',
  async url => {
    const error = await openDatabase({ url, migrationsFolder }).catch(error => error)
    expect(error).toBeInstanceOf(DatabaseError)
    expect(error.message).toMatch(/^the database's URL must /)
    expect(error.message).not.toContain('hunter2')
  },
)

test('refuses a folder that another process has open, and keeps what that process wrote before kill -9', async () => {
  const url = await engines.pglite()
  const path = url.slice('pglite://'.length)
  const holder = fileURLToPath(new URL('children/holder.ts', import.meta.url))
  const child = spawn(process.execPath, [holder, 'open', path], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  expect(String(await once(child.stdout, 'data'))).toBe('held\n')
  const error = await openDatabase({ url, migrationsFolder }).catch(error => error)
  expect(error).toBeInstanceOf(DatabaseError)
  expect(error.message).toBe(`${path} is in use by another process (pid ${child.pid})`)
  expect(error.problem).toBe('in use')
  child.kill('SIGKILL')
  await exited
  await using opened = await openDatabase({ url, migrationsFolder })
  expect(await allJobs(opened.db)).toMatchObject([{ id: 1, state: 'kept' }])
  expect((await stat(path)).mode & 0o777).toBe(0o700)
  await expect(openDatabase({ url, migrationsFolder })).rejects.toThrow(
    `in use by another process (pid ${process.pid})`,
  )
})
