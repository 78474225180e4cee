import type { Database } from '@horde/kit/database'
import { sql } from 'drizzle-orm'

/** Resolves when the database answers. Rejects when it does not work. */
export async function ping(db: Database): Promise<void> {
  await db.execute(sql`select 1`)
}
