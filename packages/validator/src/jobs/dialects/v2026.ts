import { DEFAULT_CLASS, type ExecutorClass } from '@horde/protocol/classes'
import type { JobRequest } from '@horde/protocol/job/messages'
import type { TimeLimits } from '@horde/protocol/job/request'
import { type JobUuid, jobUuid as jobUuidSchema, uuidKey } from '@horde/protocol/primitives'
import { reportFromV2026 } from '@horde/protocol/v2026/codec/report-codec'
import { offerToV2026, workToV2026 } from '@horde/protocol/v2026/codec/request-codec'
import { acceptedReceipt, finishedReceipt, startedReceipt } from '@horde/protocol/v2026/receipts/make-receipts'
import type { ReceiptPayload } from '@horde/protocol/v2026/receipts/payloads'
import { canonicalTextToSend } from '@horde/protocol/v2026/signing/canonical-text'
import { authenticationText, receiptText } from '@horde/protocol/v2026/signing/signed-texts'
import { type MinerMessage, parseFromMiner, type ValidatorAuthForMiner } from '@horde/protocol/v2026/validator-miner'
import type { SignedReceipt } from '../../db/jobs.ts'
import type { Ends, JobNotice, JobTerms, MinerDialect, ReadMessage, Written } from './miner-dialect.ts'

/** What this validator understands beyond the dialects; the first names the dialect itself. */
export const CAPABILITIES = ['2026', 'large-frames'] as const

/** Link 1 as the network speaks it since 2025, with what is new in October 2026. */
export const V2026: MinerDialect = {
  repeats: false,
  reportsStages: true,
  obstacle: () => undefined,
  isPerJob: true,
  authentication,
  request,
  notice,
  read: frame => {
    const parsed = parseFromMiner(frame)
    return parsed.ok ? { ok: true, message: messageIn(parsed.message) } : parsed
  },
}

/** No receipt may say this, and an offer without one is malformed. */
export class NoReceiptError extends Error {
  override readonly name = 'NoReceiptError'
}

function authentication(ends: Ends, nowMs: number): ValidatorAuthForMiner {
  const known = {
    validator_hotkey: ends.hotkey.ss58,
    miner_hotkey: ends.minerHotkey,
    timestamp: Math.floor(nowMs / 1000),
  }
  const signature = signText(ends, authenticationText(known))
  return { message_type: 'ValidatorAuthForMiner', ...known, signature, capabilities: [...CAPABILITIES] }
}

function request(request: JobRequest, terms: JobTerms, ends: Ends, nowMs: number): Written {
  const jobUuid = lowerCase(request.jobUuid)
  const executorClass = classOf(terms)
  const { isOrganic, areVolumesOffered, reservationSeconds: ttlSeconds, limits } = terms
  if (request.type === 'work') {
    const volumes = areVolumesOffered ? [] : request.volumes
    return { message: signed(workToV2026({ ...request, jobUuid, volumes }, executorClass), ends) }
  }
  const payload = startedReceipt(receiptOf(jobUuid, ends, nowMs), { executorClass, isOrganic, ttlSeconds })
  if (payload === undefined) throw new NoReceiptError(`no receipt can be made of the offer ${jobUuid}`)
  const receipt = signedReceipt(payload, ends)
  const offer = offerToV2026({ ...request, jobUuid, executorClass, limits }, { payload, signature: receipt.signature })
  return { message: signed(offer, ends), receipt }
}

/** Signs a message, which may not change any more. */
function signed(message: object, ends: Ends): object {
  return { validator_signature: signText(ends, canonicalTextToSend(message)), ...message }
}

/** The receipt of an acceptance or an end. Returns undefined for what no receipt may say: the job goes on without. */
function notice(notice: JobNotice, terms: JobTerms, ends: Ends, nowMs: number): Written | undefined {
  const jobUuid = lowerCase(notice.jobUuid)
  const of = receiptOf(jobUuid, ends, nowMs)
  if (notice.type === 'accepted') {
    const { acceptedAt, mayTakeSeconds: ttlSeconds } = notice
    return withReceipt('V0JobAcceptedReceiptRequest', acceptedReceipt(of, { acceptedAt, ttlSeconds }), ends)
  }
  const { startedAt, endedAt, isFinished } = notice
  const payload = finishedReceipt(of, {
    startedAt,
    tookSeconds: (endedAt - startedAt) / 1000,
    scoreSeconds: isFinished ? Math.round(paidSecondsOf(terms.limits)) : 0,
    blockNumbers: [],
  })
  return withReceipt('V0JobFinishedReceiptRequest', payload, ends)
}

function withReceipt(message_type: string, payload: ReceiptPayload | undefined, ends: Ends): Written | undefined {
  if (payload === undefined) return undefined
  const receipt = signedReceipt(payload, ends)
  return { message: { message_type, payload, signature: receipt.signature }, receipt }
}

/** The executor seconds that a finished job is worth: its limits, however long it took. */
function paidSecondsOf(limits: TimeLimits): number {
  if (limits.kind !== 'stages') return limits.seconds ?? 0
  return limits.download + limits.execution + limits.upload
}

function signedReceipt(payload: ReceiptPayload, ends: Ends): SignedReceipt {
  const { receipt_type: type, job_uuid: jobUuid } = payload
  return { payload, type, jobUuid, signature: signText(ends, receiptText(payload)) }
}

function receiptOf(jobUuid: JobUuid, { hotkey, minerHotkey }: Ends, now: number) {
  return { jobUuid, minerHotkey, validatorHotkey: hotkey.ss58, now }
}

function signText({ hotkey }: Ends, text: string): string {
  return `0x${Buffer.from(hotkey.sign(new TextEncoder().encode(text))).toString('hex')}`
}

function classOf({ executorClass = DEFAULT_CLASS }: JobTerms): ExecutorClass {
  return executorClass
}

/** Miners of v2026 write uuids in lower case, and receipts must. */
function lowerCase(uuid: JobUuid): JobUuid {
  return jobUuidSchema.parse(uuidKey(uuid))
}

function messageIn(message: MinerMessage): ReadMessage {
  switch (message.message_type) {
    case 'GenericError':
      return { type: 'error', text: message.details ?? '', isRefusal: false }
    case 'UnauthorizedError':
      return { type: 'error', text: message.details ?? message.code, isRefusal: true }
    case 'V0ExecutorManifestRequest': {
      const counts = Object.entries(message.manifest).filter(([, count]) => count > 0)
      return { type: 'manifest', manifest: counts.map(([executor_class, count]) => ({ executor_class, count })) }
    }
    case 'V0MainHotkeyMessage':
      return { type: 'nothing' }
    default: {
      const uuid = jobUuidSchema.safeParse(message.job_uuid)
      const report = uuid.success ? reportFromV2026(message, uuid.data) : undefined
      return report === undefined ? { type: 'nothing' } : { type: 'report', report }
    }
  }
}
