/** The dialect of 2026. */
import { isExecutorClass } from '@horde/protocol/classes'
import { LARGE_FRAME_BYTES, type Parsed, WireError } from '@horde/protocol/frame'
import { jobUuid } from '@horde/protocol/primitives'
import { reportToV2026 } from '@horde/protocol/v2026/codec/report-codec'
import { requestFromV2026 } from '@horde/protocol/v2026/codec/validator-miner-codec'
import type { Received } from '@horde/protocol/v2026/frame'
import { canonicalText } from '@horde/protocol/v2026/signing/canonical-text'
import { authenticationText } from '@horde/protocol/v2026/signing/signed-texts'
import {
  parseFromValidator,
  type V0InitialJobRequest,
  type V0JobRequest,
  type ValidatorAuthForMiner,
  type ValidatorMessage,
} from '@horde/protocol/v2026/validator-miner'
import type { Claim, Proof, ValidatorDialect, ValidatorSays } from './dialect.ts'

export const dialectV2026: ValidatorDialect = {
  name: 'v2026',
  parse,
  report: reportToV2026,
  manifest: counts => {
    const known = counts.filter(({ executor_class: name }) => isExecutorClass(name))
    const manifest: Record<string, number> = {}
    for (const { executor_class: name, count } of known) manifest[name] = (manifest[name] ?? 0) + count
    return { message_type: 'V0ExecutorManifestRequest', ...{ manifest } }
  },
  largestFrame: () => LARGE_FRAME_BYTES,
}

function parse(frame: string | Uint8Array): Parsed<ValidatorSays> {
  const parsed = parseFromValidator(frame)
  if (!parsed.ok) return parsed
  const { message } = parsed
  switch (message.message_type) {
    case 'ValidatorAuthForMiner':
      return { ok: true, message: { kind: 'authentication', claim: claimOf(message) } }
    case 'GenericError':
      return { ok: true, message: { kind: 'error', details: message.details } }
    case 'V0MainHotkeyMessage':
      return { ok: true, message: { kind: 'main-hotkey' } }
    case 'V0JobAcceptedReceiptRequest':
    case 'V0JobFinishedReceiptRequest': {
      const { payload, signature } = message
      return { ok: true, message: { kind: 'receipt', payload, signature } }
    }
    default: {
      const uuid = jobUuid.safeParse(message.job_uuid)
      if (!uuid.success) return { ok: false, error: new WireError('invalid-fields', 'job_uuid: must be a uuid') }
      const request = requestFromV2026(message, uuid.data)
      return { ok: true, message: { kind: 'request', request, proof: proofOf(message, parsed) } }
    }
  }
}

function claimOf(message: ValidatorAuthForMiner): Claim {
  return {
    validatorHotkey: message.validator_hotkey,
    minerHotkey: message.miner_hotkey,
    timestamp: message.timestamp,
    signature: message.signature,
    signedBytes: new TextEncoder().encode(authenticationText(message)),
    capabilities: message.capabilities ?? [],
  }
}

function proofOf(message: V0InitialJobRequest | V0JobRequest, { received }: Ok<ValidatorMessage>): Proof {
  const receipt =
    message.message_type === 'V0InitialJobRequest'
      ? { payload: message.job_started_receipt_payload, signature: message.job_started_receipt_signature }
      : undefined
  return { signature: message.validator_signature, signedText: () => canonicalText(received), receipt }
}

type Ok<T> = Extract<Received<T>, { ok: true }>
