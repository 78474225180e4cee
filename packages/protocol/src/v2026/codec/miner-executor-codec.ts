/** Converts the messages of link 2 between v2026 and the vocabulary of ../../job: the miner's side. */
import type { JobRequest } from '../../job/messages.ts'
import type { V0InitialJobRequest, V0JobRequest } from '../miner-executor.ts'
import { type OfferReceipt, offerToV2026, workToV2026 } from './request-codec.ts'

/** What the miner knows of the job besides the request. */
export interface V2026Job {
  /** Executors do not check it. */
  receipt: OfferReceipt
  executorClass: string | null
  /** Whether the offer said which volumes the job reads: then the work must not say it again. */
  hasOfferedVolumes: boolean
}

/** @throws NotInV2026Error for a class or preset that is not one of v2026 */
export function requestToV2026Executor(request: JobRequest, job: V2026Job): V0InitialJobRequest | V0JobRequest {
  if (request.type === 'offer') return offerToV2026(request, job.receipt)
  const work = workToV2026(request, job.executorClass)
  return job.hasOfferedVolumes ? { ...work, volume: null } : work
}
