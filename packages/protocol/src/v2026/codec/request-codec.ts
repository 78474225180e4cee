/** Converts offers and work, which links 1 and 2 share, between v2026 and the vocabulary of ../../job. */
import { DEFAULT_CLASS, isExecutorClass } from '../../classes.ts'
import { isPreset } from '../../job/preset.ts'
import type { JobOffer, JobWork } from '../../job/request.ts'
import type { JobUuid } from '../../primitives.ts'
import type { V0InitialJobRequest, V0JobRequest } from '../miner-executor.ts'
import type { JobStartedPayload } from '../receipts/payloads.ts'
import { limitsFromV2026, limitsToV2026 } from './limits.ts'
import { uploadsFromV2026, uploadsToV2026 } from './uploads.ts'
import { volumesFromV2026, volumesToV2026 } from './volumes.ts'

/** The receipt that goes with an offer, and the validator's signature over it. */
export interface OfferReceipt {
  payload: JobStartedPayload
  /** `0x…` */
  signature: string
}

/** The job asks for something that v2026 cannot express. */
export class NotInV2026Error extends Error {
  override readonly name = 'NotInV2026Error'
}

/** @param jobUuid the message's own, checked */
export function offerFromV2026(message: V0InitialJobRequest, jobUuid: JobUuid): JobOffer {
  const volumes = volumesFromV2026(message.volume)
  return {
    jobUuid,
    executorClass: message.executor_class,
    image: message.docker_image || null,
    limits: limitsFromV2026(message),
    isStreaming: message.streaming_details !== null,
    volumeKind: volumes[0]?.kind ?? null,
    volumes,
  }
}

/**
 * Every key is written, because signatures are over the frame as it is.
 *
 * @throws NotInV2026Error for a class that is not one of v2026
 */
export function offerToV2026(offer: JobOffer, receipt: OfferReceipt): V0InitialJobRequest {
  return {
    message_type: 'V0InitialJobRequest',
    job_uuid: offer.jobUuid,
    executor_class: classOf(offer.executorClass),
    docker_image: offer.image,
    volume: volumesToV2026(offer.volumes),
    job_started_receipt_payload: receipt.payload,
    job_started_receipt_signature: receipt.signature,
    streaming_details: null,
    ...limitsToV2026(offer.limits),
  }
}

/** @param jobUuid the message's own, checked */
export function workFromV2026(message: V0JobRequest, jobUuid: JobUuid): JobWork {
  return {
    jobUuid,
    image: message.docker_image || null,
    script: message.raw_script || null,
    preset: message.docker_run_options_preset,
    args: message.docker_run_cmd,
    env: message.env,
    volumes: volumesFromV2026(message.volume),
    uploads: uploadsFromV2026(message.output_upload),
    artifactsFolder: message.artifacts_dir || null,
  }
}

/**
 * @param executorClass that of the offer
 * @throws NotInV2026Error for a class or preset that is not one of v2026
 */
export function workToV2026(work: JobWork, executorClass: string | null): V0JobRequest {
  if (!isPreset(work.preset)) throw new NotInV2026Error('a v2026 peer cannot be sent this preset')
  return {
    message_type: 'V0JobRequest',
    job_uuid: work.jobUuid,
    executor_class: classOf(executorClass),
    docker_image: work.image ?? '',
    raw_script: work.script,
    docker_run_options_preset: work.preset,
    docker_run_cmd: work.args,
    env: work.env,
    volume: volumesToV2026(work.volumes),
    output_upload: uploadsToV2026(work.uploads),
    artifacts_dir: work.artifactsFolder,
  }
}

function classOf(name: string | null) {
  const executorClass = name ?? DEFAULT_CLASS
  if (!isExecutorClass(executorClass)) throw new NotInV2026Error('a v2026 peer cannot be sent this executor class')
  return executorClass
}
