/**
 * Link 3 in dialect v0: the messages between a validator and its facilitator. The validator dials and stays
 * connected. Both sides refuse unknown fields.
 */
import { z } from 'zod'
import { type Parser, parserOf } from '../frame.ts'
import { hotkey, jobUuid, optionalText, shortList, text, textList, textMap } from '../primitives.ts'

/** How often a validator sends V0Heartbeat, in seconds. */
export const HEARTBEAT_SECONDS = 60

const authenticationRequest = z.strictObject({
  message_type: z.literal('V0AuthenticationRequest'),
  public_key: z.string('must be a string').regex(/^[0-9a-f]{64}$/i, 'must be 64 hex digits'),
  signature: z.string('must be a string'),
})
export type V0AuthenticationRequest = z.output<typeof authenticationRequest>

export const JOB_STATUSES = ['accepted', 'rejected', 'failed', 'completed'] as const
export type JobStatus = (typeof JOB_STATUSES)[number]

const minerResponse = z.object({
  job_uuid: jobUuid,
  message_type: z.string('must be a string'),
  docker_process_stderr: text,
  docker_process_stdout: text,
})
export type MinerResponse = z.output<typeof minerResponse>

const jobStatusUpdate = z.strictObject({
  message_type: z.literal('V0JobStatusUpdate'),
  uuid: jobUuid,
  status: z.enum(JOB_STATUSES, 'must be accepted, rejected, failed or completed'),
  metadata: z
    .object({ comment: text, miner_response: minerResponse.nullish().transform(value => value ?? null) })
    .nullish()
    .transform(value => value ?? null),
})
export type V0JobStatusUpdate = z.output<typeof jobStatusUpdate>

const validatorMessages = {
  V0AuthenticationRequest: authenticationRequest,
  V0JobStatusUpdate: jobStatusUpdate,
  V0Heartbeat: z.strictObject({ message_type: z.literal('V0Heartbeat') }),
}
export type ValidatorToFacilitatorMessage = z.output<(typeof validatorMessages)[keyof typeof validatorMessages]>

/** Parses a message of a validator to its facilitator. */
export const parseFromValidator: Parser<ValidatorToFacilitatorMessage> = parserOf(validatorMessages)

const textOrEmpty = text.nullish().transform(value => value ?? '')

const jobRequest = z
  .strictObject({
    type: z.literal('job.new', 'must be "job.new"'),
    message_type: z.literal('V0JobRequest'),
    uuid: jobUuid,
    miner_hotkey: hotkey,
    /** Facilitators say it since June 2024. */
    executor_class: z.string('must be a string').nullish(),
    docker_image: textOrEmpty,
    raw_script: textOrEmpty,
    args: textList,
    env: textMap.nullish().transform(value => value ?? {}),
    use_gpu: z.boolean('must be true or false'),
    input_url: textOrEmpty,
    output_url: textOrEmpty,
  })
  .refine(job => (job.docker_image === '') !== (job.raw_script === ''), {
    error: 'exactly one of docker_image and raw_script must be non-empty',
  })
export type FacilitatorJobRequest = z.output<typeof jobRequest>

/** The most errors in one Response. */
const MAX_ERRORS = 100

const response = z.strictObject({
  status: z.enum(['success', 'error'], 'must be "success" or "error"'),
  errors: shortList(z.object({ msg: text, type: text, help: optionalText }), MAX_ERRORS)
    .nullish()
    .transform(value => value ?? []),
})
export type FacilitatorResponse = z.output<typeof response>

export type FacilitatorMessage = FacilitatorJobRequest | FacilitatorResponse

/** Parses a message of a facilitator to a validator: a job, or a Response, which has no message_type. */
export const parseFromFacilitator: Parser<FacilitatorMessage> = parserOf({ V0JobRequest: jobRequest }, response)

export function isJobRequest(message: FacilitatorMessage): message is FacilitatorJobRequest {
  return 'message_type' in message
}
