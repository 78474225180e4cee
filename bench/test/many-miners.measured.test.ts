/** A short form of the bench of batches, beside what bare sockets do on the same machine at the same time. */

import { openDatabase } from '@horde/kit/database'
import { startPostgres } from '@horde/testing/postgres'
import { expect, it } from 'vitest'
import { MIGRATIONS, measureBatch } from '../validator-batch.ts'

/** Twice the aims, in ms; a machine that has other work beside is given as many times what it takes for bare sockets. */
const MOST_WAIT_MS = 100
const MOST_ERROR_MS = 20
const MOST_PLAIN = 4

it('sends their work at once to 256 executors, by a fair clock', async () => {
  await using postgres = await startPostgres()
  await using database = await openDatabase({ url: await postgres.newDatabase(), migrationsFolder: MIGRATIONS })
  await measureBatch(database, 16, 1)
  const figures = await measureBatch(database, 64, 4)
  expect(figures).toMatchObject({ jobs: 256, right: 256 })
  const { p99Ms, p50ErrorMs, plainP50ErrorMs } = figures
  expect(p99Ms).toBeLessThan(Math.max(MOST_WAIT_MS, MOST_PLAIN * plainP50ErrorMs))
  expect(p50ErrorMs).toBeLessThan(Math.max(MOST_ERROR_MS, MOST_PLAIN * plainP50ErrorMs))
})
