/** Link 1 in dialect v2026: the messages between a validator and a miner. The validator dials. */
import { z } from 'zod'
import { type Parser, parserOf } from './frame.ts'
import { aboutJob, executorReports, genericError, initialJobRequest, jobRequest } from './messages.ts'
import { jobAcceptedPayload, jobFinishedPayload, receipt } from './receipts/payloads.ts'
import { anyMapOrNull, executorClass, listOf, text, textList, textOrNull, whole } from './scalars.ts'
import { DECLINE_REASONS, wordOrUnknown } from './words.ts'

/** How old the timestamp of an authentication may be, in seconds. */
export const AUTHENTICATION_WINDOW_SECONDS = 10

const authentication = z.object({
  message_type: z.literal('ValidatorAuthForMiner'),
  validator_hotkey: text,
  miner_hotkey: text,
  /** In seconds since 1970. */
  timestamp: whole,
  signature: text,
  /** Ours alone: what this validator understands beyond the dialect. Absent when it is no list of texts. */
  capabilities: textList.optional().catch(undefined),
})
export type ValidatorAuthForMiner = z.output<typeof authentication>

/** Over the canonical text of the frame. Peers of January 2026 do not send it. */
const validatorSignature = { validator_signature: textOrNull }

const signedOffer = initialJobRequest.extend(validatorSignature)
export type V0InitialJobRequest = z.output<typeof signedOffer>

const signedWork = jobRequest.extend(validatorSignature)
export type V0JobRequest = z.output<typeof signedWork>

const acceptedReceipt = z.object({
  message_type: z.literal('V0JobAcceptedReceiptRequest'),
  payload: jobAcceptedPayload,
  signature: text,
})
export type V0JobAcceptedReceiptRequest = z.output<typeof acceptedReceipt>

const finishedReceipt = z.object({
  message_type: z.literal('V0JobFinishedReceiptRequest'),
  payload: jobFinishedPayload,
  signature: text,
})
export type V0JobFinishedReceiptRequest = z.output<typeof finishedReceipt>

/** The validator asks with null. The miner answers with a hotkey, or null when it has no main one. */
const mainHotkey = z.object({ message_type: z.literal('V0MainHotkeyMessage'), main_hotkey: textOrNull })
export type V0MainHotkeyMessage = z.output<typeof mainHotkey>

const validatorMessages = {
  ValidatorAuthForMiner: authentication,
  V0InitialJobRequest: signedOffer,
  V0JobRequest: signedWork,
  V0JobAcceptedReceiptRequest: acceptedReceipt,
  V0JobFinishedReceiptRequest: finishedReceipt,
  V0MainHotkeyMessage: mainHotkey,
  GenericError: genericError,
}
export type ValidatorMessage = z.output<(typeof validatorMessages)[keyof typeof validatorMessages]>

/** Parses a message of a validator to its miner. */
export const parseFromValidator: Parser<ValidatorMessage> = parserOf(validatorMessages)

/** How many executors a miner has of each class. An unknown class refuses the whole manifest, as v2026 peers do. */
const manifest = z.object({
  message_type: z.literal('V0ExecutorManifestRequest'),
  manifest: z.partialRecord(executorClass, whole, 'must be a map of executor classes'),
})
export type V0ExecutorManifestRequest = z.output<typeof manifest>

const decline = aboutJob('V0DeclineJobRequest').extend({
  message: text.default(''),
  reason: wordOrUnknown(DECLINE_REASONS),
  /** With `busy`: receipts of the jobs that keep the miner's executors of this class busy. */
  receipts: listOf(receipt).default(() => []),
  context: anyMapOrNull,
})
export type V0DeclineJobRequest = z.output<typeof decline>

const unauthorized = z.object({
  message_type: z.literal('UnauthorizedError'),
  code: z.enum(['TOKEN_TOO_OLD', 'UNKNOWN_VALIDATOR', 'VALIDATOR_INACTIVE'], 'must be a known code'),
  details: textOrNull,
})

const minerMessages = {
  V0ExecutorManifestRequest: manifest,
  V0AcceptJobRequest: aboutJob('V0AcceptJobRequest'),
  V0DeclineJobRequest: decline,
  ...executorReports,
  V0MainHotkeyMessage: mainHotkey,
  UnauthorizedError: unauthorized,
  GenericError: genericError,
}
export type MinerMessage = z.output<(typeof minerMessages)[keyof typeof minerMessages]>

/** Parses a message of a miner to a validator. */
export const parseFromMiner: Parser<MinerMessage> = parserOf(minerMessages)
