/** Link 2 in dialect v2026: the messages between a miner and its executor. The executor dials. */
import type { z } from 'zod'
import { type Parser, parserOf } from './frame.ts'
import { executorNews, genericError, initialJobRequest, jobRequest } from './messages.ts'

/** The offer without the validator's signature: a miner may have set `executor_ip`. */
export type V0InitialJobRequest = z.output<typeof initialJobRequest>
export type V0JobRequest = z.output<typeof jobRequest>

const minerSays = { V0InitialJobRequest: initialJobRequest, V0JobRequest: jobRequest, GenericError: genericError }
export type MinerToExecutorMessage = z.output<(typeof minerSays)[keyof typeof minerSays]>

/** Parses a message of a miner to its executor. */
export const parseFromMiner: Parser<MinerToExecutorMessage> = parserOf(minerSays)

const executorSays = { ...executorNews, GenericError: genericError }
export type ExecutorMessage = z.output<(typeof executorSays)[keyof typeof executorSays]>

/** Parses a message of an executor to its miner. */
export const parseFromExecutor: Parser<ExecutorMessage> = parserOf(executorSays)
