/** Watches whether the database answers, how fast, and how large it is. */
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import type { Database } from '@horde/kit/database'
import { type Clock, withDeadline } from '@horde/kit/time'
import { sql } from 'drizzle-orm'
import type { Watch } from './watches.ts'

const EVERY_MS = 30_000
/** An answer that takes longer is a warning, or counts as no answer at all, in milliseconds. */
const SLOW_MS = 1_000
const GONE_MS = 10_000
const BYTES_PER_MB = 1e6

export function databaseWatch(db: Database, clock: Clock): Watch {
  const look = async (): Promise<Finding[]> => {
    const askedAt = clock.monotonic()
    try {
      await withDeadline(db.execute(sql`select 1`), GONE_MS, 'the database', clock)
    } catch (error) {
      const advice = 'see whether it runs: without it no job is taken, and no result kept'
      return [bad('database', `does not answer (${(error as Error).message})`, advice)]
    }
    const ms = clock.monotonic() - askedAt
    const found = `answers in ${ms.toFixed(0)} ms`
    const finding =
      ms < SLOW_MS ? ok('database', found) : warn('database', found, 'see what else its disk is busy with')
    return [{ ...finding, measured: ms / 1000 }, await sizeOf(db, clock)]
  }
  return { name: 'database', everyMs: EVERY_MS, look }
}

/** Measures the database without its write-ahead log. */
async function sizeOf(db: Database, clock: Clock): Promise<Finding> {
  const asked = db.execute<{ bytes: string }>(sql`select pg_database_size(current_database())::text as bytes`)
  const { rows } = await withDeadline(asked, GONE_MS, "the database's size", clock)
  const bytes = Number(rows[0]?.bytes)
  return { ...ok('database size', `${(bytes / BYTES_PER_MB).toFixed(1)} MB`), measured: bytes }
}
