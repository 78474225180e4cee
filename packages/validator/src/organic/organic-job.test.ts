import type { FacilitatorJobRequest } from '@horde/protocol/facilitator-validator'
import { expect, it } from 'vitest'
import { organicJob } from './organic-job.ts'

const LIMITS = { connectMs: 1_000, manifestMs: 1_000, readyMs: 1_000, jobMs: 30_000 }
const { judge } = organicJob({ uuid: 'u' } as FacilitatorJobRequest, LIMITS, 60_000)

it.each([
  ['ended by the time limit when its miner says so', null, { timeout: true }, 1, 'time-limit'],
  ['ended by the time limit when it took that long, though a v0 miner does not say so', null, {}, 30, 'time-limit'],
  ['could not be run when it ended earlier', null, {}, 29.9, 'not-run'],
  ['could not be run when its time is not known', null, {}, undefined, 'not-run'],
  ['ended by itself when it has an exit status', 1, {}, 31, 'exit-status'],
] as const)('a failed job %s', (_, status, more, seconds, reason) => {
  const result = {
    ...{ message_type: 'V0JobFailedRequest' as const, job_uuid: 'u' as never, docker_process_exit_status: status },
    ...{ docker_process_stdout: '', docker_process_stderr: '', ...more },
  }
  expect(judge(result, seconds)).toMatchObject({ reason, score: null })
})
