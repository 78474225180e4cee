import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '@horde/kit/database'
import { folderBytes } from '@horde/testing/folder-bytes'
import { sql } from 'drizzle-orm'
import { expect, test } from 'vitest'
import { addJob, migrationsFolder } from './jobs.ts'

const MIB = 1024 * 1024
const WRITTEN_MIB = 100
/** Twice what is written between two checkpoints: a new log begins before the old one may go. */
const LOG_MIB = 64

test('the write-ahead log of an embedded database does not grow with what is written', async () => {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'horde-space-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const { db } = stack.use(await openDatabase({ url: `pglite://${folder}`, migrationsFolder }))
  await addJob(db, { id: 1, state: 'offered' })
  for (let written = 0; written < WRITTEN_MIB; written += 1) {
    const detail = JSON.stringify({ reason: randomBytes(MIB / 2).toString('hex') })
    await db.execute(sql`update jobs set detail = ${detail}::jsonb where id = 1`)
  }
  expect((await folderBytes(join(folder, 'data', 'pg_wal'))) / MIB).toBeLessThan(LOG_MIB)
})
