/** Opens and closes batches together with their jobs. */
import { randomUUID } from 'node:crypto'
import { type Database, inTransaction } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { ExecutorClass } from '@horde/protocol/classes'
import type { Benchmark } from '../benchmarks/benchmark.ts'
import { closeBatchRow, closeOverdueRows, insertBatch, type NewBatch, type OpenBatch } from '../db/batches.ts'
import { type NewJob, openJobsOf } from '../db/jobs.ts'
import type { ServingMiner } from '../jobs/miners/find-miners.ts'
import { abandonJobs, openJobs } from '../jobs/transition.ts'

/** Prepares a new job for a miner. */
export async function newJobFor(
  { hotkey: minerHotkey, uid: minerUid, address: minerAddress }: ServingMiner,
  { benchmark, startedAt, deadline }: { benchmark: Benchmark; startedAt: Date; deadline: Date },
  executorClass?: ExecutorClass,
): Promise<NewJob> {
  const work = await benchmark.prepare(startedAt.getTime())
  return {
    ...{ uuid: randomUUID(), minerHotkey, minerUid, minerAddress, deadline, timeoutSeconds: work.timeoutSeconds },
    challenge: { benchmark: benchmark.name, work },
    ...(executorClass ? { executorClass } : {}),
  }
}

/** Opens a batch with its first jobs. */
export function openBatch(
  db: Database,
  { jobs, ...newBatch }: NewBatch & { jobs: readonly NewJob[] },
): Promise<OpenBatch> {
  return inTransaction(db, async tx => {
    const batch = await insertBatch(tx, newBatch)
    const { opened } = await openJobs(tx, jobs, { batchId: batch.id, at: newBatch.startedAt })
    return { batch, openJobs: opened }
  })
}

/** Closes a batch and abandons the jobs that are still open in it. With `counts` false it is never scored. */
export function closeBatch(
  db: Database,
  { id, at, counts }: { id: number; at: Date; counts: boolean },
  log: Log,
): Promise<void> {
  return inTransaction(db, async tx => {
    await closeBatchRow(tx, id, at, counts)
    await abandonJobs(tx, await openJobsOf(tx, [id]), at, log)
  })
}

/**
 * Closes the batches whose deadline lies before a moment: the process that ran them is gone. What was measured counts,
 * and the jobs that are still open are excused. Returns how many those were.
 */
export function closeOverdueBatches(db: Database, deadlineBefore: Date, at: Date, log: Log): Promise<number> {
  return inTransaction(db, async tx => {
    const ids = await closeOverdueRows(tx, deadlineBefore, at)
    return abandonJobs(tx, await openJobsOf(tx, ids), at, log)
  })
}
