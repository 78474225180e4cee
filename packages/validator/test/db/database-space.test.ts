import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Database } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import { folderBytes } from '@horde/testing/folder-bytes'
import { expect, it } from 'vitest'
import { batches, jobs } from '../../src/db/schema.ts'
import { startEviction } from '../../src/loops.ts'
import { openTestDatabase } from './databases.ts'

const DAY_MS = 86_400_000
const KEPT = {
  RETENTION_DAYS: 1,
  RECEIPTS_RETENTION_DAYS: 2,
  WEIGHTS_RETENTION_DAYS: 1,
  SCORE_WINDOW_SECONDS: 60,
  DEMAND_WINDOW_SECONDS: 60,
}
const PASSES = 20
const JOBS = 50
const SAID_BYTES = 40_000

async function storeBatch(db: Database, now: Date): Promise<void> {
  const moments = { startedAt: now, deadline: now, closedAt: now, scoredAt: now }
  const [batch] = await db
    .insert(batches)
    .values({ netuid: 1, benchmark: 'sha256', ...moments })
    .returning()
  const rows = Array.from({ length: JOBS }, () => ({
    ...{ uuid: randomUUID(), batchId: batch?.id, minerHotkey: '5M', minerUid: 1, minerAddress: '127.0.0.2:1' },
    ...{
      state: 'finished' as const,
      createdAt: now,
      endedAt: now,
      stdout: randomBytes(SAID_BYTES / 2).toString('hex'),
    },
  }))
  await db.insert(jobs).values(rows)
}

it('stops growing the embedded database once as many batches are removed as are added', async () => {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'horde-space-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const database = stack.use(await openTestDatabase(`pglite://${folder}`))
  const { db } = database
  const clock = manualClock(Date.UTC(2026, 2, 1))
  const { signal } = new AbortController()
  const loop = stack.use(startEviction(KEPT, { database, clock, log: silentLog }, signal))

  const sizes: number[] = []
  for (let pass = 0; pass < PASSES; pass += 1) {
    await storeBatch(db, new Date(clock.now()))
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
