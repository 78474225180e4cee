/** A short form of the batch benchmark, compared with bare sockets on the same machine at the same time. */
import { expect, it } from 'vitest'
import { measureBatch } from '../../../bench/validator-batch.ts'
import { openTestDatabase, withPostgres } from './databases.ts'

const postgres = withPostgres()
/** Twice the target, in ms. On a busy machine the limit is this multiple of what bare sockets take. */
const MOST_WAIT_MS = 100
const MOST_ERROR_MS = 20
const MOST_PLAIN = 4

it('sends work to 256 executors at once, and measures each correctly', async () => {
  await using database = await openTestDatabase(await postgres().newDatabase())
  await measureBatch(database, 16, 1)
  const figures = await measureBatch(database, 64, 4)
  expect(figures).toMatchObject({ jobs: 256, right: 256 })
  const { p99Ms, p50ErrorMs, plainP50ErrorMs } = figures
  expect(p99Ms).toBeLessThan(Math.max(MOST_WAIT_MS, MOST_PLAIN * plainP50ErrorMs))
  expect(p50ErrorMs).toBeLessThan(Math.max(MOST_ERROR_MS, MOST_PLAIN * plainP50ErrorMs))
})
