/** A short form of the bench of batches, beside what bare sockets do on the same machine at the same time. */
import { expect, it } from 'vitest'
import { measureBatch } from '../../../bench/validator-batch.ts'
import { openTestDatabase, withPostgres } from './databases.ts'

const postgres = withPostgres()
/** Twice the aims, in ms; a machine that has other work beside is given as many times what it takes for bare sockets. */
const MOST_WAIT_MS = 100
const MOST_ERROR_MS = 20
const MOST_PLAIN = 4

it('sends their work at once to 256 executors, by a fair clock', async () => {
  await using database = await openTestDatabase(await postgres().newDatabase())
  await measureBatch(database, 16, 1)
  const figures = await measureBatch(database, 64, 4)
  expect(figures).toMatchObject({ jobs: 256, right: 256 })
  const { p99Ms, p50ErrorMs, plainP50ErrorMs } = figures
  expect(p99Ms).toBeLessThan(Math.max(MOST_WAIT_MS, MOST_PLAIN * plainP50ErrorMs))
  expect(p50ErrorMs).toBeLessThan(Math.max(MOST_ERROR_MS, MOST_PLAIN * plainP50ErrorMs))
})
