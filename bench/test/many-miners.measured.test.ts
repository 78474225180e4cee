/** Runs a short form of the batch benchmark in both dialects, compared with bare sockets on the same machine. */
import { openDatabase } from '@horde/kit/database'
import { DIALECTS } from '@horde/protocol/handshake/dialects'
import { startPostgres } from '@horde/testing/postgres'
import { expect, it } from 'vitest'
import { MIGRATIONS, measureBatch, measureMemory, warmUp } from '../validator-batch.ts'

/** Twice the targets, in ms. */
const MAX_WAIT_MS = 100
const MAX_ERROR_MS = 20
/** On a busy machine the limit is this multiple of the error of bare sockets. */
const MAX_RATIO = 4
/** About four times what a batch holds: 256 jobs while it runs, and caches after it, in MiB. */
const MAX_DURING_MIB = 20
const MAX_AFTER_MIB = 4

/** A job of v2026 takes several times the processor time: with as many, a busy machine could not measure exactly. */
const EXECUTORS = { v0: 4, v2026: 1 } as const
const MINERS = 64

it('sends work to many executors at once, measures each time correctly, and keeps no memory', async () => {
  await using postgres = await startPostgres()
  await using database = await openDatabase({ url: await postgres.newDatabase(), migrationsFolder: MIGRATIONS })
  await warmUp(database)
  for (const dialect of DIALECTS) {
    const executors = EXECUTORS[dialect]
    const figures = await measureBatch(database, { dialect, miners: MINERS, executors })
    expect(figures).toMatchObject({ jobs: MINERS * executors, right: MINERS * executors })
    const { p99Ms, p50ErrorMs, bareP50ErrorMs } = figures
    expect(p99Ms, dialect).toBeLessThan(Math.max(MAX_WAIT_MS, MAX_RATIO * bareP50ErrorMs))
    expect(p50ErrorMs, dialect).toBeLessThan(Math.max(MAX_ERROR_MS, MAX_RATIO * bareP50ErrorMs))
  }
  const { before, peak, after } = await measureMemory(database, { dialect: 'v2026', miners: MINERS, executors: 4 })
  expect(peak - before).toBeLessThan(MAX_DURING_MIB)
  expect(after - before).toBeLessThan(MAX_AFTER_MIB)
})
