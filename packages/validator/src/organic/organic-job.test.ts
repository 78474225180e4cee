import type { FacilitatorJobRequest } from '@horde/protocol/v0/facilitator-validator'
import { expect, it } from 'vitest'
import { userJobOf } from './dialects/v0.ts'
import { organicJob } from './organic-job.ts'

const LIMITS = { connectMs: 1_000, manifestMs: 1_000, readyMs: 1_000, reservationMs: 1_000, jobMs: 30_000 }
const { judge } = organicJob(
  userJobOf({ uuid: 'u', input_url: '', output_url: '' } as FacilitatorJobRequest, LIMITS.jobMs),
  LIMITS,
  60_000,
)

it.each([
  ['ended by the time limit when its miner says so', null, 'timeout', 1, 'time-limit'],
  [
    'ended by the time limit when it took that long, though a v0 miner does not say so',
    null,
    'unknown',
    30,
    'time-limit',
  ],
  ['could not be run when it ended earlier', null, 'unknown', 29.9, 'not-run'],
  ['could not be run when its time is not known', null, 'unknown', undefined, 'not-run'],
  ['ended by itself when it has an exit status', 1, 'nonzero-exit', 31, 'exit-status'],
] as const)('a failed job %s', (_, exitStatus, cause, seconds, reason) => {
  const result = {
    ...{ type: 'fail' as const, jobUuid: 'u' as never },
    failure: { reason: cause, stage: 'unknown' as const, message: '', exitStatus, printed: null },
  }
  expect(judge(result, seconds)).toMatchObject({ reason, score: null })
})
