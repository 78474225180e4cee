/**
 * How a database's schema stands to the migrations that this release knows, and whether the release may use it.
 *
 * A release migrates forward only, and its migrations are made so that the release before can work with the result. For
 * that the folder of migrations has `oldest-reader.json`, `{ "tag": "0007_name" }`: the last migration of the oldest release
 * that can. It is written into the database, because an older release has no such file for migrations that it does not know.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import type { Database } from '../database.ts'
import { DatabaseError } from './errors.ts'

/** One migration in drizzle-kit's list; `when` is in ms since the epoch. */
interface Migration {
  tag: string
  when: number
}

export interface SchemaState {
  /** Names of the migrations that the next start applies, in order. */
  pending: string[]
  /** Why this release must not use the database; absent when it may. */
  refusal?: string
}

/** Compares the migrations recorded in the database with those in the folder. Changes nothing. */
export async function schemaState(db: Database, migrationsFolder: string): Promise<SchemaState> {
  const migrations = await migrationsIn(migrationsFolder)
  const known = migrations.at(-1) ?? { tag: 'none', when: 0 }
  const { last, newer } = await recorded(db, known.when)
  // drizzle applies a migration when it is younger than the youngest one that is recorded.
  const pending = migrations.filter(({ when }) => when > last).map(({ tag }) => tag)
  if (newer === 0 || (await oldestReader(db, last)) <= known.when) return { pending }
  const what = `${newer} migration${newer === 1 ? '' : 's'}, the last of ${new Date(last).toISOString().slice(0, 10)}`
  const refusal = `a newer release has changed the database (${what}), and this release knows only up to ${known.tag}`
  return { pending, refusal }
}

/**
 * Checks that this release may use the database, and writes down the oldest release that will be able to read it. Call it
 * under the lock of the migrations and before them: when the process dies in between, no release is refused wrongly, because
 * a release that knows all applied migrations does not look at what is written down.
 *
 * @throws DatabaseError when a newer release has migrated the database to what this one cannot read
 */
export async function prepareMigration(db: Database, migrationsFolder: string): Promise<void> {
  const migrations = await migrationsIn(migrationsFolder)
  const known = migrations.at(-1)?.when ?? 0
  const { refusal } = await schemaState(db, migrationsFolder)
  if (refusal !== undefined) throw new DatabaseError(refusal, { problem: 'newer' })
  const { newer } = await recorded(db, known)
  // What a newer release wrote stands.
  if (newer === 0) await writeOldestReader(db, known, await oldestReaderIn(migrationsFolder, migrations))
}

async function migrationsIn(folder: string): Promise<Migration[]> {
  const journal = JSON.parse(await readFile(join(folder, 'meta', '_journal.json'), 'utf8')) as { entries: Migration[] }
  return journal.entries
}

/** Without the file no release reads these tables but one that knows all migrations. */
async function oldestReaderIn(folder: string, migrations: readonly Migration[]): Promise<number> {
  const text = await readFile(join(folder, 'oldest-reader.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return migrations.at(-1)?.when ?? 0
  const { tag } = JSON.parse(text) as { tag: string }
  const named = migrations.find(migration => migration.tag === tag)
  if (named === undefined) throw new DatabaseError(`${folder}/oldest-reader.json names no migration: ${tag}`)
  return named.when
}

/** The time of the youngest recorded migration, and how many are younger than `knownUntil`. */
async function recorded(db: Database, knownUntil: number): Promise<{ last: number; newer: number }> {
  if (!(await hasTable(db, '__drizzle_migrations'))) return { last: 0, newer: 0 }
  const { rows } = await db.execute<{ last: string | null; newer: string }>(sql`
    select max(created_at)::text as last, count(*) filter (where created_at > ${knownUntil}::bigint)::text as newer
    from drizzle.__drizzle_migrations`)
  return { last: Number(rows[0]?.last ?? 0), newer: Number(rows[0]?.newer ?? 0) }
}

/**
 * The last migration, by its time, that a release must know to read the tables as they are after the migration of `last`.
 * Infinite when the database does not say that: no release wrote it, or the tables have changed since.
 */
async function oldestReader(db: Database, last: number): Promise<number> {
  if (!(await hasTable(db, 'oldest_reader'))) return Number.POSITIVE_INFINITY
  const { rows } = await db.execute<{ known: string }>(
    sql`select known_until::text as known from drizzle.oldest_reader where migrated_until >= ${last}::bigint`,
  )
  return Number(rows[0]?.known ?? Number.POSITIVE_INFINITY)
}

/** @param migratedUntil the last migration that the writer is about to apply, or has applied */
async function writeOldestReader(db: Database, migratedUntil: number, knownUntil: number): Promise<void> {
  await db.execute(sql`create schema if not exists drizzle`)
  await db.execute(sql`
    create table if not exists drizzle.oldest_reader (
      only_row boolean primary key default true check (only_row),
      migrated_until bigint not null,
      known_until bigint not null
    )`)
  await db.execute(sql`
    insert into drizzle.oldest_reader (migrated_until, known_until) values (${migratedUntil}::bigint, ${knownUntil}::bigint)
    on conflict (only_row) do update set migrated_until = excluded.migrated_until, known_until = excluded.known_until`)
}

async function hasTable(db: Database, name: string): Promise<boolean> {
  const { rows } = await db.execute<{ made: boolean }>(
    sql`select to_regclass(${`drizzle.${name}`}) is not null as made`,
  )
  return rows[0]?.made ?? false
}
