/**
 * Link 3 in dialect v2026: the messages between a validator and its facilitator. The validator dials and stays
 * connected. Both sides refuse unknown fields of messages; parts of a job, and what `metadata` holds, may have more.
 */
import { z } from 'zod'
import { type Parser, parserOf } from './frame.ts'
import { streamingDetailsOrNull, uploadOrNull, volumeOrNull } from './job.ts'
import { hordeFailureFields, jobFailureFields } from './messages.ts'
import {
  anyMap,
  anyMapOrNull,
  executorClass,
  flag,
  listOf,
  text,
  textList,
  textMap,
  textMapOrNull,
  textOrNull,
  whole,
  wholeBigint,
  wholeOrNull,
} from './scalars.ts'
import { DECLINE_REASONS, JOB_STATUSES, PARTIES, wordOf } from './words.ts'

const authentication = z.strictObject({
  message_type: z.literal('V0AuthenticationRequest'),
  public_key: text.regex(/^[0-9a-f]{64}$/i, 'must be 64 hex digits'),
  /** Over the 32 bytes of the key. */
  signature: text,
})
export type V0AuthenticationRequest = z.output<typeof authentication>

const rejectionDetails = z.object({
  rejected_by: wordOf(PARTIES),
  reason: wordOf(DECLINE_REASONS),
  message: text,
  context: anyMapOrNull,
})
const streamingServer = z.strictObject({
  streaming_server_cert: textOrNull,
  streaming_server_address: textOrNull,
  streaming_server_port: wholeOrNull,
})
const minerResponse = z.looseObject({
  docker_process_stdout: text,
  docker_process_stderr: text,
  artifacts: textMapOrNull,
  upload_results: textMapOrNull,
})
const orNull = <S extends z.ZodType>(schema: S) => schema.nullish().transform(value => value ?? null)

/** The detail that the status calls for; the others are null. */
const statusMetadata = z.looseObject({
  /** With `completed`. */
  miner_response: orNull(minerResponse),
  /** With `rejected`. */
  job_rejection_details: orNull(rejectionDetails),
  /** With `failed`. */
  job_failure_details: orNull(z.object(jobFailureFields)),
  /** With `horde_failed`; with `failed` when the validator itself noticed the failure. */
  horde_failure_details: orNull(z.object(hordeFailureFields)),
  /** With `streaming_ready`. */
  streaming_details: orNull(streamingServer),
})

const jobStatusUpdate = z.strictObject({
  message_type: z.literal('V0JobStatusUpdate'),
  uuid: text,
  status: wordOf(JOB_STATUSES),
  metadata: orNull(anyMap.pipe(statusMetadata)),
})
export type V0JobStatusUpdate = z.output<typeof jobStatusUpdate>

const machineSpecsUpdate = z.strictObject({
  message_type: z.literal('V0MachineSpecsUpdate'),
  miner_hotkey: text,
  validator_hotkey: text,
  specs: anyMap,
  batch_id: text,
})

const validatorMessages = {
  V0AuthenticationRequest: authentication,
  V0JobStatusUpdate: jobStatusUpdate,
  V0MachineSpecsUpdate: machineSpecsUpdate,
  V0Heartbeat: z.strictObject({ message_type: z.literal('V0Heartbeat') }),
}
export type ValidatorToFacilitatorMessage = z.output<(typeof validatorMessages)[keyof typeof validatorMessages]>

/** Parses a message of a validator to its facilitator. */
export const parseFromValidator: Parser<ValidatorToFacilitatorMessage> = parserOf(validatorMessages)

/** A user's signature. What it is over: `signing/user-signature.ts`. */
const userSignature = z.strictObject({
  /** `bittensor`. */
  signature_type: text.default(''),
  /** The ss58 address of the user's key. */
  signatory: text.default(''),
  /** When the user signed, in nanoseconds since 1970. */
  timestamp_ns: wholeBigint.default(0n),
  /** 64 bytes as base64. Not checked here, so that the validator can reject the job with a reason. */
  signature: text,
  signature_scope: z
    .enum(['SignedFields', 'FullRequest'], 'must be "SignedFields" or "FullRequest"')
    .default('SignedFields'),
})
export type UserSignature = z.output<typeof userSignature>

const jobRequest = z.strictObject({
  signature: orNull(userSignature),
  type: z.literal('job.new', 'must be "job.new"').default('job.new'),
  message_type: z.literal('V2JobRequest'),
  uuid: text,
  job_namespace: textOrNull,
  executor_class: executorClass,
  docker_image: text,
  args: textList,
  env: textMap,
  /** Without effect. */
  use_gpu: flag.default(true),
  volume: volumeOrNull,
  output_upload: uploadOrNull,
  artifacts_dir: textOrNull,
  on_trusted_miner: flag.default(false),
  /** All limits in seconds. */
  download_time_limit: whole,
  execution_time_limit: whole,
  upload_time_limit: whole,
  streaming_start_time_limit: whole,
  streaming_details: streamingDetailsOrNull,
})
export type V2JobRequest = z.output<typeof jobRequest>

/** A user says that a miner returned a wrong result: the same job on a trusted miner returned another one. */
const jobCheated = z.strictObject({
  signature: orNull(userSignature),
  type: z.literal('job.cheated', 'must be "job.cheated"').default('job.cheated'),
  message_type: z.literal('V0JobCheated'),
  job_uuid: text,
  trusted_job_uuid: text,
  details: z.custom<unknown>(value => value !== undefined, 'is missing'),
})
export type V0JobCheated = z.output<typeof jobCheated>

const response = z.strictObject({
  status: z.enum(['success', 'error'], 'must be "success" or "error"'),
  errors: listOf(z.looseObject({ msg: text, type: text, help: text.default('') })).default(() => []),
})
export type FacilitatorResponse = z.output<typeof response>

const facilitatorMessages = { V2JobRequest: jobRequest, V0JobCheated: jobCheated }
export type FacilitatorMessage =
  | z.output<(typeof facilitatorMessages)[keyof typeof facilitatorMessages]>
  | FacilitatorResponse

/** Parses a message of a facilitator to a validator: a job, a report of a cheat, or a Response without a type. */
export const parseFromFacilitator: Parser<FacilitatorMessage> = parserOf(facilitatorMessages, response)
