import type { BatchJob, BatchReport } from './batch/batch-part.ts'
import { closeOrLeave } from './batch/close-or-leave.ts'
import { driveParts } from './batch/drive-parts.ts'
import { resumeMinerPart } from './batch/miner-part.ts'
import { type OpenBatch, openBatches } from './db/batches.ts'
import type { BatchDeps, BatchRequest } from './run-batch.ts'
import { scoringNamed } from './scoring/settings.ts'

/**
 * Takes the batches up that an earlier process left open: their miners are asked again, and what can be heard is heard,
 * until the batch's deadline. Without any, it returns at once.
 */
export async function resumeBatches(
  request: BatchRequest,
  deps: Omit<BatchDeps, 'chain'>,
  signal: AbortSignal,
): Promise<BatchReport[]> {
  const { db, clock } = deps
  const left = await openBatches(db, request.netuid, new Date(clock.now()))
  // Whoever fails waits for the others: nothing goes on behind the caller's back.
  const resumed = await Promise.allSettled(left.map(each => resumeBatch(each, request, deps, signal)))
  return resumed.map(each => {
    if (each.status === 'rejected') throw each.reason
    return each.value
  })
}

async function resumeBatch(
  { batch, openJobs }: OpenBatch,
  request: BatchRequest,
  deps: Omit<BatchDeps, 'chain'>,
  signal: AbortSignal,
): Promise<BatchReport> {
  const { clock, log } = deps
  const { id, benchmark, startedAt, deadline, counts } = batch
  log.warn({ batch: id, openJobs: openJobs.length }, 'batch taken up that was left open')
  // By a clock that was set back meanwhile it would be open for longer than it may.
  const leftMs = Math.min(deadline.getTime() - clock.now(), deadline.getTime() - startedAt.getTime())
  const endsAt = clock.monotonic() + leftMs
  const scoring = request.scoring.name === batch.scoring ? request.scoring : scoringNamed(batch.scoring)
  const part = { ...request, scoring, batchId: id, startedAt, deadline, endsAt }
  const jobs: BatchJob[] = await driveParts(
    [...Map.groupBy(openJobs, job => job.minerAddress + job.minerHotkey).values()],
    (rows, shared) => {
      const [{ minerHotkey: hotkey, minerUid: uid, minerAddress: address }] = rows as [OpenBatch['openJobs'][number]]
      return resumeMinerPart({ ...part, miner: { hotkey, uid, address } }, rows, shared, signal)
    },
    { ...request, endsAt },
    deps,
    signal,
  )
  return closeOrLeave({ id, benchmark, jobs, counts }, request.leaveOpen, deps, signal)
}
