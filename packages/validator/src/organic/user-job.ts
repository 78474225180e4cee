/** A user's job in no facilitator's dialect, and how far it is. */
import type { ExecutorClass } from '@horde/protocol/classes'
import type { WorkMessage } from '@horde/protocol/job/messages'
import type { TimeLimits } from '@horde/protocol/job/request'
import type { JobResult } from '../db/jobs.ts'
import type { Refusal } from '../db/json-columns.ts'

export interface UserJob {
  /** The class that was asked for, where the dialect says it. */
  executorClass: ExecutorClass | undefined
  limits: TimeLimits
  work: WorkMessage
}

/** How a job ended, as its row has it. */
export type JobEnd = Pick<
  JobResult,
  'state' | 'reason' | 'stage' | 'message' | 'exitStatus' | 'stdout' | 'stderr' | 'report'
>

/** What a facilitator is told of a job. */
export type Progress =
  /** `received`: the request is good, and a miner is picked. */
  | { type: 'received' | 'accepted' | 'ready' | 'volumes-ready' | 'execution-done' }
  /** No miner was given the job. */
  | { type: 'refused'; refusal: Refusal }
  /** The database was away for so long that the job could not be stored. */
  | { type: 'not-given' }
  | { type: 'ended'; end: JobEnd }
