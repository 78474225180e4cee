/** A short form of the bench of batches: what it measures is at most twice the aim, on whatever machine. */
import { expect, it } from 'vitest'
import { measureBatch } from '../../../bench/validator-batch.ts'
import { openTestDatabase, withPostgres } from './databases.ts'

const postgres = withPostgres()

it('sends their work at once to 256 executors, by a fair clock', async () => {
  await using database = await openTestDatabase(await postgres().newDatabase())
  await measureBatch(database, 16, 1)
  const figures = await measureBatch(database, 64, 4)
  expect(figures).toMatchObject({ jobs: 256, right: 256 })
  expect(figures.p99Ms).toBeLessThan(100)
  expect(figures.p50ErrorMs).toBeLessThan(20)
})
