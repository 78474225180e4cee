import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import { folderBytes } from '@horde/testing/folder-bytes'
import { expect, it } from 'vitest'
import { jobs } from '../../src/db/schema.ts'
import { startEviction } from '../../src/loops.ts'
import { migrationsFolder } from '../harness.ts'

const DAY_MS = 86_400_000
const KEPT = { JOBS_KEPT_DAYS: 1, RESULTS_KEPT_DAYS: 1, RECEIPTS_KEPT_DAYS: 1, DELIVERED_RESULTS_KEPT_HOURS: 24 }
const ROUNDS = 20
const JOBS = 10
const PRINTED_BYTES = 200_000

it('keeps the size of the embedded database once as many jobs are removed as added', async () => {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'horde-space-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const { db, reclaimSpace } = stack.use(await openDatabase({ url: `pglite://${folder}`, migrationsFolder }))
  const clock = manualClock(Date.UTC(2026, 2, 1))
  const { signal } = new AbortController()
  const loop = stack.use(startEviction(KEPT, { db, reclaimSpace, clock, log: silentLog }, signal))

  const sizes: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let job = 0; job < JOBS; job += 1) {
      const uuid = randomUUID()
      const now = new Date(clock.now())
      const result = { exitStatus: 0, stdout: randomBytes(PRINTED_BYTES / 2).toString('hex'), stderr: '' }
      await db.insert(jobs).values({
        ...{ validator: '5V', uuid, uuidKey: uuid, executorClass: 'always_on.test', volumeType: 'inline' },
        ...{ executorToken: '', state: 'finished', offeredAt: now, endedAt: now, deliveredAt: now, result },
      })
    }
    sizes.push(await folderBytes(folder))
    const { runs } = loop.state()
    await clock.advance(DAY_MS / 2 + 1)
    loop.wake()
    await expect.poll(() => loop.state()).toMatchObject({ running: false, failuresInARow: 0 })
    expect(loop.state().runs).toBeGreaterThan(runs)
    expect(await db.$count(jobs), 'the newest stay').toBe(JOBS)
  }
  const growth = Math.max(...sizes) / (sizes[1] ?? 0)
  expect(growth, `sizes: ${sizes}`).toBeLessThan(2)
})
