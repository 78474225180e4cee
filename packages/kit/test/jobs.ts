import { fileURLToPath } from 'node:url'
import type { Database } from '@horde/kit/database'
import { and, eq, inArray } from 'drizzle-orm'
import { bigint, integer, jsonb, pgTable, text, timestamp } from 'drizzle-orm/pg-core'

export const migrationsFolder = fileURLToPath(new URL('fixtures/drizzle', import.meta.url))

const jobs = pgTable('jobs', {
  id: integer().primaryKey(),
  state: text().notNull(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  detail: jsonb().$type<{ reason: string }>(),
  size: bigint({ mode: 'bigint' }).notNull().default(0n),
})

export type Job = typeof jobs.$inferSelect

export async function addJob(db: Database, job: typeof jobs.$inferInsert): Promise<void> {
  await db.insert(jobs).values(job)
}

export function allJobs(db: Database): Promise<Job[]> {
  return db.select().from(jobs).orderBy(jobs.id)
}

/** Returns false when another process moved the job first. */
export async function moveJob(db: Database, id: number, from: string[], to: string): Promise<boolean> {
  const moved = await db
    .update(jobs)
    .set({ state: to })
    .where(and(eq(jobs.id, id), inArray(jobs.state, from)))
    .returning({ id: jobs.id })
  return moved.length === 1
}
