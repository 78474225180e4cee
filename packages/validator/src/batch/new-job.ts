import { randomUUID } from 'node:crypto'
import type { ExecutorClass } from '@horde/protocol/classes'
import { jobUuid } from '@horde/protocol/primitives'
import type { NewJob } from '../db/jobs.ts'
import type { ServingMiner } from '../miner/serving.ts'
import type { BatchPart, OpenJob } from './batch-part.ts'

/** A new job of a miner, and its row. */
export async function newJobOf(
  miner: ServingMiner,
  { benchmark, startedAt, deadline }: Pick<BatchPart, 'benchmark' | 'startedAt' | 'deadline'>,
  executorClass?: ExecutorClass,
): Promise<{ job: OpenJob; row: NewJob }> {
  const uuid = jobUuid.parse(randomUUID())
  const work = await benchmark.prepare(startedAt.getTime())
  const { hotkey: minerHotkey, uid: minerUid, address: minerAddress } = miner
  const challenge = { benchmark: benchmark.name, work }
  const { timeoutSeconds } = work
  const row = { uuid, minerHotkey, minerUid, minerAddress, deadline, timeoutSeconds, challenge }
  return { job: { uuid, work, executorClass }, row: { ...row, ...(executorClass ? { executorClass } : {}) } }
}
