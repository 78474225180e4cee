/** Link 2 in dialect v0: the messages between a miner and its executor. The executor dials. */
import { z } from 'zod'
import { type Parser, parserOf } from '../frame.ts'
import { jobUuid, optionalTextList } from '../primitives.ts'
import { exitStatus, genericError, hasOneSource, ONE_SOURCE, offerFields, outputFields, workFields } from './job.ts'

const prepareJob = z.object({
  message_type: z.literal('V0PrepareJobRequest'),
  ...offerFields,
  /** Extensions of the dialect that the miner understands: `large-frames`. */
  capabilities: optionalTextList,
})
export type V0PrepareJobRequest = z.output<typeof prepareJob>

const runJob = z
  .object({ message_type: z.literal('V0RunJobRequest'), ...workFields })
  .refine(hasOneSource, { error: ONE_SOURCE })
export type V0RunJobRequest = z.output<typeof runJob>

const minerMessages = { V0PrepareJobRequest: prepareJob, V0RunJobRequest: runJob, GenericError: genericError }
export type MinerToExecutorMessage = z.output<(typeof minerMessages)[keyof typeof minerMessages]>

/** Parses a message of a miner to its executor. */
export const parseFromMiner: Parser<MinerToExecutorMessage> = parserOf(minerMessages)

const aboutJob = <T extends string>(type: T) => z.object({ message_type: z.literal(type), job_uuid: jobUuid })

const finished = aboutJob('V0FinishedRequest').extend(outputFields)
export type V0FinishedRequest = z.output<typeof finished>

const failed = aboutJob('V0FailedRequest').extend({
  docker_process_exit_status: exitStatus,
  /** True when the job's own time limit ended it. */
  timeout: z
    .boolean('must be true or false')
    .nullish()
    .transform(value => value ?? false),
  ...outputFields,
})
export type V0FailedRequest = z.output<typeof failed>

const executorMessages = {
  V0ReadyRequest: aboutJob('V0ReadyRequest'),
  V0FailedToPrepare: aboutJob('V0FailedToPrepare'),
  V0FinishedRequest: finished,
  V0FailedRequest: failed,
  GenericError: genericError,
}
export type ExecutorMessage = z.output<(typeof executorMessages)[keyof typeof executorMessages]>

/** Parses a message of an executor to its miner. */
export const parseFromExecutor: Parser<ExecutorMessage> = parserOf(executorMessages)
