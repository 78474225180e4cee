/**
 * Converts what the executor knows of a job's end to the messages of link 2 in the dialect v2026. The executor alone
 * imports it, once a miner has shown that it speaks v2026.
 */
import type { JobResult } from '../../job/report.ts'
import type { JobUuid } from '../../primitives.ts'
import type { V0HordeFailedRequest, V0JobFailedRequest, V0JobFinishedRequest } from '../messages.ts'
import { breakdownToV2026, failureToV2026, finishToV2026 } from './report-codec.ts'

export type V2026Answer = V0JobFinishedRequest | V0JobFailedRequest | V0HordeFailedRequest

/** Returns the message for the miner. */
export function answerToV2026(jobUuid: JobUuid, result: JobResult): V2026Answer {
  switch (result.end) {
    case 'finished':
      return finishToV2026(jobUuid, result)
    case 'failed':
      return failureToV2026(jobUuid, result)
    case 'broken':
      return breakdownToV2026(jobUuid, { ...result, reporter: 'executor' })
  }
}
