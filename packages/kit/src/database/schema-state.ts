import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import type { Database } from '../database.ts'
import { DatabaseError } from './errors.ts'

/** drizzle-kit's list of the migrations in a folder, oldest first; `when` is in ms since the epoch. */
interface Journal {
  entries: { tag: string; when: number }[]
}

/** How a database's schema stands to the migrations that this release knows. */
export interface SchemaState {
  /** Names of the migrations that the next start applies, in order. */
  pending: string[]
  /** Why this release must not use the database; absent when it may. */
  refusal?: string
}

/** Compares the migrations recorded in the database with those in the folder. Changes nothing. */
export async function schemaState(db: Database, migrationsFolder: string): Promise<SchemaState> {
  const { entries } = JSON.parse(await readFile(join(migrationsFolder, 'meta', '_journal.json'), 'utf8')) as Journal
  const known = entries.at(-1) ?? { tag: 'none', when: 0 }
  const { last, newer } = await recorded(db, known.when)
  // drizzle applies a migration when it is younger than the youngest one that is recorded.
  const pending = entries.filter(({ when }) => when > last).map(({ tag }) => tag)
  if (newer === 0) return { pending }
  const what = `${newer} migration${newer === 1 ? '' : 's'}, the last of ${new Date(last).toISOString().slice(0, 10)}`
  const refusal = `a newer release has changed the database (${what}), and this release knows only up to ${known.tag}`
  return { pending, refusal }
}

/** @throws DatabaseError when a newer release has migrated the database */
export async function refuseNewerSchema(db: Database, migrationsFolder: string): Promise<void> {
  const { refusal } = await schemaState(db, migrationsFolder)
  if (refusal !== undefined) throw new DatabaseError(refusal, { problem: 'newer' })
}

/** The time of the youngest recorded migration, and how many are younger than `knownUntil`. */
async function recorded(db: Database, knownUntil: number): Promise<{ last: number; newer: number }> {
  const table = sql`to_regclass('drizzle.__drizzle_migrations')`
  const { rows } = await db.execute<{ made: boolean }>(sql`select ${table} is not null as made`)
  if (!rows[0]?.made) return { last: 0, newer: 0 }
  const answer = await db.execute<{ last: string | null; newer: string }>(sql`
    select max(created_at)::text as last, count(*) filter (where created_at > ${knownUntil}::bigint)::text as newer
    from drizzle.__drizzle_migrations`)
  return { last: Number(answer.rows[0]?.last ?? 0), newer: Number(answer.rows[0]?.newer ?? 0) }
}
