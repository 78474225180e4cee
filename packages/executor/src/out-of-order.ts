/** What a miner may say when: loaded with the first connection, for nothing can be heard before, and schemas are heavy. */
import type { V0PrepareJobRequest, V0RunJobRequest } from '@horde/protocol/miner-executor'
import { type JobUuid, uuidKey } from '@horde/protocol/primitives'

/** How far the job has come, as far as the miner's words are concerned. */
export type LinkState = 'idle' | 'preparing' | 'ready' | 'running'

/** What is wrong with a message at this point, in the words of the answer; undefined when it is in order. */
export function objectionTo(
  message: V0PrepareJobRequest | V0RunJobRequest,
  state: LinkState,
  jobUuid: JobUuid | undefined,
): string | undefined {
  if (message.message_type === 'V0PrepareJobRequest') {
    return state === 'idle' ? undefined : 'a job was already prepared here'
  }
  if (state === 'idle') return 'no job was prepared here'
  if (uuidKey(message.job_uuid) !== uuidKey(jobUuid ?? '')) return 'another job was prepared here'
  if (state === 'preparing') return 'the job is not ready yet'
  return state === 'running' ? 'the job was already started' : undefined
}
