/** Checks the order of a miner's messages. Loaded with the first connection, because it needs the schemas. */
import type { V0PrepareJobRequest, V0RunJobRequest } from '@horde/protocol/miner-executor'
import { type JobUuid, uuidKey } from '@horde/protocol/primitives'
import { type Stage, stageAfter } from '../job/job-progress.ts'

/** The sentence for the miner when the work arrives in a stage that does not allow it. */
const WORK_ERRORS: Record<Exclude<Stage, 'ready'>, string> = {
  idle: 'no job was prepared here',
  preparing: 'the job is not ready yet',
  running: 'the job was already started',
  answering: 'the job was already answered',
}

/** Returns the sentence for the miner when its message is out of order; undefined when the message is in order. */
export function orderError(
  message: V0PrepareJobRequest | V0RunJobRequest,
  stage: Stage,
  jobUuid: JobUuid | undefined,
): string | undefined {
  if (message.message_type === 'V0PrepareJobRequest') {
    return stageAfter(stage, message.message_type) === undefined ? 'a job was already prepared here' : undefined
  }
  if (stage !== 'idle' && uuidKey(message.job_uuid) !== uuidKey(jobUuid ?? '')) return 'another job was prepared here'
  return stage === 'ready' ? undefined : WORK_ERRORS[stage]
}
