/** Checks the order of a miner's messages. */
import { type JobUuid, uuidKey } from '@horde/protocol/primitives'
import { type Stage, stageAfter } from '../job/job-progress.ts'
import type { MinerMessage } from './dialect.ts'

/** The sentence for the miner when the work arrives in a stage that does not allow it. */
const WORK_ERRORS: Record<Exclude<Stage, 'ready'>, string> = {
  idle: 'no job was prepared here',
  preparing: 'the job is not ready yet',
  loading: 'the job was already started',
  running: 'the job was already started',
  delivering: 'the job was already started',
  answering: 'the job was already answered',
}

/** Returns the sentence for the miner when its message is out of order; undefined when the message is in order. */
export function orderError(
  message: Exclude<MinerMessage, { kind: 'error' }>,
  stage: Stage,
  jobUuid: JobUuid | undefined,
): string | undefined {
  if (message.kind === 'offer') {
    return stageAfter(stage, 'offer') === undefined ? 'a job was already prepared here' : undefined
  }
  if (stage !== 'idle' && uuidKey(message.work.jobUuid) !== uuidKey(jobUuid ?? ''))
    return 'another job was prepared here'
  return stage === 'ready' ? undefined : WORK_ERRORS[stage]
}
