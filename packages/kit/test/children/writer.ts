/**
 * `write <folder>`: stores jobs until its stdin ends, and prints the number of each once it is stored.
 * `read <folder>`: prints which are there.
 * `make <folder>`: makes a database without a template, and prints 1 once it is made.
 */
import { join } from 'node:path'
import { inTransaction, openDatabase } from '@horde/kit/database'
import { sql } from 'drizzle-orm'
import { makeDatabase } from '../../src/database/template.ts'
import { addJob, allJobs, migrationsFolder } from '../jobs.ts'

/** A checkpoint follows after this many jobs. */
const JOBS_PER_CHECKPOINT = 7

const [what, folder = ''] = process.argv.slice(2)
if (what === 'make') {
  await makeDatabase(join(folder, 'data'), 'no template')
  process.stdout.write('1\n')
  process.stdin.resume().on('end', () => process.exit(0))
  await new Promise(() => {})
}
const { db } = await openDatabase({ url: `pglite://${folder}`, migrationsFolder })
if (what === 'read') {
  process.stdout.write(`${JSON.stringify((await allJobs(db)).map(({ id }) => id))}\n`)
  process.exit(0)
}
process.stdin.resume().on('end', () => process.exit(0))
const last = (await allJobs(db)).at(-1)?.id ?? 0
for (let id = last + 1; ; id += 1) {
  const job = { id, state: 'written', detail: { reason: 'x'.repeat(10_000) } }
  if (id % 2 === 0) await addJob(db, job)
  else await inTransaction(db, tx => addJob(tx, job))
  process.stdout.write(`${id}\n`)
  if (id % JOBS_PER_CHECKPOINT === 0) await db.execute(sql`checkpoint`)
}
