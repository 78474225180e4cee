import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import type { Database } from '../database.ts'

/** What drizzle-kit writes down of its migrations. */
interface Journal {
  entries: { tag: string; when: number }[]
}

/** The names of the migrations that opening this database with their folder would apply, in order. */
export async function pendingMigrations(db: Database, migrationsFolder: string): Promise<string[]> {
  const journal = JSON.parse(await readFile(join(migrationsFolder, 'meta', '_journal.json'), 'utf8')) as Journal
  const last = await lastApplied(db)
  return journal.entries.filter(({ when }) => when > last).map(({ tag }) => tag)
}

/** By the same rule as drizzle: what is younger than the youngest that was applied is due. */
async function lastApplied(db: Database): Promise<number> {
  const table = sql`to_regclass('drizzle.__drizzle_migrations')`
  const { rows } = await db.execute<{ made: boolean }>(sql`select ${table} is not null as made`)
  if (!rows[0]?.made) return 0
  const latest = sql`select max(created_at)::text as latest from drizzle.__drizzle_migrations`
  const answer = await db.execute<{ latest: string | null }>(latest)
  return Number(answer.rows[0]?.latest ?? 0)
}
