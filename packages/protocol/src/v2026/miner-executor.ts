/** Link 2 in dialect v2026: the messages between a miner and its executor. The executor dials. */
import type { z } from 'zod'
import { type Parser, parserOf } from './frame.ts'
import { executorReports, genericError, initialJobRequest, jobRequest } from './messages.ts'

/** The offer without the validator's signature: a miner may have set `executor_ip`. */
export type V0InitialJobRequest = z.output<typeof initialJobRequest>
export type V0JobRequest = z.output<typeof jobRequest>

const minerMessages = { V0InitialJobRequest: initialJobRequest, V0JobRequest: jobRequest, GenericError: genericError }
export type MinerToExecutorMessage = z.output<(typeof minerMessages)[keyof typeof minerMessages]>

/** Parses a message of a miner to its executor. */
export const parseFromMiner: Parser<MinerToExecutorMessage> = parserOf(minerMessages)

const executorMessages = { ...executorReports, GenericError: genericError }
export type ExecutorMessage = z.output<(typeof executorMessages)[keyof typeof executorMessages]>

/** Parses a message of an executor to its miner. */
export const parseFromExecutor: Parser<ExecutorMessage> = parserOf(executorMessages)
