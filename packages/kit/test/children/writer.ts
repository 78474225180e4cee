/**
 * `write <folder>`: stores one job after the other, says the number of each once it is stored, until its stdin ends.
 * `read <folder>`: says which are there.
 */
import { inTransaction, openDatabase } from '@horde/kit/database'
import { sql } from 'drizzle-orm'
import { addJob, allJobs, migrationsFolder } from '../jobs.ts'

/** A checkpoint follows after this many jobs. */
const JOBS_PER_CHECKPOINT = 7

const [what, folder = ''] = process.argv.slice(2)
const { db } = await openDatabase({ url: `pglite://${folder}`, migrationsFolder })
if (what === 'read') {
  process.stdout.write(`${JSON.stringify((await allJobs(db)).map(({ id }) => id))}\n`)
  process.exit(0)
}
process.stdin.resume().on('end', () => process.exit(0))
const last = (await allJobs(db)).at(-1)?.id ?? 0
for (let id = last + 1; ; id += 1) {
  const job = { id, state: 'said', detail: { reason: 'x'.repeat(10_000) } }
  if (id % 2 === 0) await addJob(db, job)
  else await inTransaction(db, tx => addJob(tx, job))
  process.stdout.write(`${id}\n`)
  if (id % JOBS_PER_CHECKPOINT === 0) await db.execute(sql`checkpoint`)
}
