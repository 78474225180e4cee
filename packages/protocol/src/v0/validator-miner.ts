/** Link 1 in dialect v0: the messages between a validator and a miner. The validator dials. */
import { z } from 'zod'
import { type Parser, parserOf } from '../frame.ts'
import { hotkey, integer, jobUuid, optionalText, optionalTextList, shortList, text } from '../primitives.ts'
import { exitStatus, genericError, hasOneSource, ONE_SOURCE, offerFields, outputFields, workFields } from './job.ts'

/** Extensions of the dialect that a peer may list in `capabilities`. */
export const CAPABILITIES = ['large-frames', 'manifest'] as const
export type Capability = (typeof CAPABILITIES)[number]

/** How far the timestamp of an authentication may lie in the past or the future, in seconds. */
export const AUTHENTICATION_WINDOW_SECONDS = 10

/** The three signed fields. Extra fields are dropped and not signed. */
export const authenticationPayload = z.object({
  validator_hotkey: hotkey,
  miner_hotkey: hotkey,
  timestamp: z.int('must be a whole number of seconds'),
})
export type AuthenticationPayload = z.output<typeof authenticationPayload>

const authenticateRequest = z.object({
  message_type: z.literal('V0AuthenticateRequest'),
  payload: authenticationPayload,
  signature: z.string('must be a string'),
  capabilities: optionalTextList,
})
export type V0AuthenticateRequest = z.output<typeof authenticateRequest>

const initialJobRequest = z.object({
  message_type: z.literal('V0InitialJobRequest'),
  ...offerFields,
  /** Absent means the default class. */
  executor_class: z.string('must be a string').nullish(),
})
export type V0InitialJobRequest = z.output<typeof initialJobRequest>

const jobRequest = z
  .object({ message_type: z.literal('V0JobRequest'), ...workFields })
  .refine(hasOneSource, { error: ONE_SOURCE })
export type V0JobRequest = z.output<typeof jobRequest>

const validatorMessages = {
  V0AuthenticateRequest: authenticateRequest,
  V0InitialJobRequest: initialJobRequest,
  V0JobRequest: jobRequest,
  GenericError: genericError,
}
export type ValidatorMessage = z.output<(typeof validatorMessages)[keyof typeof validatorMessages]>

/** Parses a message of a validator to its miner. */
export const parseFromValidator: Parser<ValidatorMessage> = parserOf(validatorMessages)

const aboutJob = <T extends string>(type: T) => z.object({ message_type: z.literal(type), job_uuid: jobUuid })

const jobFinished = aboutJob('V0JobFinishedRequest').extend(outputFields)
export type V0JobFinishedRequest = z.output<typeof jobFinished>

const jobFailed = aboutJob('V0JobFailedRequest').extend({
  docker_process_exit_status: exitStatus,
  /** True when the job's own time limit ended it. Absent otherwise, and always absent from v0 miners. */
  timeout: z.boolean('must be true or false').nullish(),
  ...outputFields,
})
export type V0JobFailedRequest = z.output<typeof jobFailed>

/** The most classes in one manifest. */
const MAX_CLASSES = 100

const manifest = z.object({
  message_type: z.literal('V0ExecutorManifestRequest'),
  manifest: z.object({
    executor_classes: shortList(
      z.object({ executor_class: text, count: integer.refine(count => count >= 0, 'must not be negative') }),
      MAX_CLASSES,
    ),
  }),
})
export type V0ExecutorManifestRequest = z.output<typeof manifest>

const unauthorized = z.object({
  message_type: z.literal('UnauthorizedError'),
  code: z.enum(['TOKEN_TOO_OLD', 'UNKNOWN_VALIDATOR', 'VALIDATOR_INACTIVE']),
  details: optionalText,
})

const minerMessages = {
  V0AcceptJobRequest: aboutJob('V0AcceptJobRequest'),
  V0DeclineJobRequest: aboutJob('V0DeclineJobRequest'),
  V0ExecutorReadyRequest: aboutJob('V0ExecutorReadyRequest'),
  V0ExecutorFailedRequest: aboutJob('V0ExecutorFailedRequest'),
  V0JobFinishedRequest: jobFinished,
  V0JobFailedRequest: jobFailed,
  V0ExecutorManifestRequest: manifest,
  UnauthorizedError: unauthorized,
  GenericError: genericError,
}
export type MinerMessage = z.output<(typeof minerMessages)[keyof typeof minerMessages]>

/** Parses a message of a miner to a validator. */
export const parseFromMiner: Parser<MinerMessage> = parserOf(minerMessages)
