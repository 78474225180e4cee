/**
 * Compares a database's schema with the migrations that this release knows, and decides whether the release may use it.
 *
 * A release migrates forward only, and the release before must be able to use the result. The file `oldest-reader.json`
 * in the folder of migrations, `{ "tag": "0007_name" }`, names the last migration of the oldest release that can. It is
 * stored in the database, because an older release does not have this file for newer migrations.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { type Database, DatabaseError } from './engine.ts'

/** One migration in drizzle-kit's list; `when` is in ms since the epoch. */
interface Migration {
  tag: string
  when: number
}

export interface SchemaState {
  /** The migrations that the next start will apply, in order. */
  pending: string[]
  /** Why this release must not use the database; absent when it may. */
  refusal?: string
}

/** Compares the migrations recorded in the database with those in the folder. Changes nothing. */
export async function schemaState(db: Database, migrationsFolder: string): Promise<SchemaState> {
  const migrations = await migrationsIn(migrationsFolder)
  const known = migrations.at(-1) ?? { tag: 'none', when: 0 }
  const { last, newer } = await recorded(db, known.when)
  // drizzle applies a migration that is newer than the newest recorded one.
  const pending = migrations.filter(({ when }) => when > last).map(({ tag }) => tag)
  if (newer === 0 || (await oldestReader(db, last)) <= known.when) return { pending }
  const what = `${newer} migration${newer === 1 ? '' : 's'}, the last of ${new Date(last).toISOString().slice(0, 10)}`
  const refusal = `a newer release has changed the database (${what}), and this release knows only up to ${known.tag}`
  return { pending, refusal }
}

/**
 * Checks that this release may use the database, and stores the oldest release that will be able to read it. Call it
 * under the lock for migrations and before them. If the process dies in between, no release is refused wrongly: a
 * release that knows all applied migrations does not use the stored value.
 *
 * @throws DatabaseError when a newer release has migrated the database so that this one cannot read it
 */
export async function prepareMigration(db: Database, migrationsFolder: string): Promise<void> {
  const migrations = await migrationsIn(migrationsFolder)
  const known = migrations.at(-1)?.when ?? 0
  const { refusal } = await schemaState(db, migrationsFolder)
  if (refusal !== undefined) throw new DatabaseError(refusal, { problem: 'newer' })
  const { newer } = await recorded(db, known)
  // Keep what a newer release stored.
  if (newer === 0) await writeOldestReader(db, known, await oldestReaderIn(migrationsFolder, migrations))
}

async function migrationsIn(folder: string): Promise<Migration[]> {
  const journal = JSON.parse(await readFile(join(folder, 'meta', '_journal.json'), 'utf8')) as { entries: Migration[] }
  return journal.entries
}

/** Returns the time of the migration in oldest-reader.json. Without the file a reader must know all migrations. */
async function oldestReaderIn(folder: string, migrations: readonly Migration[]): Promise<number> {
  const text = await readFile(join(folder, 'oldest-reader.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return migrations.at(-1)?.when ?? 0
  const { tag } = JSON.parse(text) as { tag: string }
  const named = migrations.find(migration => migration.tag === tag)
  if (named === undefined) throw new DatabaseError(`${folder}/oldest-reader.json names an unknown migration: ${tag}`)
  return named.when
}

/** Returns the time of the newest recorded migration, and how many are newer than `knownUntil`. */
async function recorded(db: Database, knownUntil: number): Promise<{ last: number; newer: number }> {
  if (!(await hasTable(db, '__drizzle_migrations'))) return { last: 0, newer: 0 }
  const { rows } = await db.execute<{ last: string | null; newer: string }>(sql`
    select max(created_at)::text as last, count(*) filter (where created_at > ${knownUntil}::bigint)::text as newer
    from drizzle.__drizzle_migrations`)
  return { last: Number(rows[0]?.last ?? 0), newer: Number(rows[0]?.newer ?? 0) }
}

/**
 * Returns the time of the migration that a release must know to read the tables after the migration of `last`. Infinity
 * when the database has no valid value: no release stored one, or the tables have changed since.
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
    insert into drizzle.oldest_reader (migrated_until, known_until)
    values (${migratedUntil}::bigint, ${knownUntil}::bigint)
    on conflict (only_row) do update set migrated_until = excluded.migrated_until, known_until = excluded.known_until`)
}

async function hasTable(db: Database, name: string): Promise<boolean> {
  const { rows } = await db.execute<{ made: boolean }>(
    sql`select to_regclass(${`drizzle.${name}`}) is not null as made`,
  )
  return rows[0]?.made ?? false
}
