/** The dialect of April 2024, with this project's additions. */
import { largestFrameFor, type Parsed } from '@horde/protocol/frame'
import { authenticationBytes } from '@horde/protocol/handshake/signing'
import { parseFromValidator, type V0AuthenticateRequest } from '@horde/protocol/v0/validator-miner'
import { reportToV0, requestFromV0 } from '@horde/protocol/v0/validator-miner-codec'
import type { Claim, ValidatorDialect, ValidatorSays } from './dialect.ts'

export const dialectV0: ValidatorDialect = {
  name: 'v0',
  parse,
  report: reportToV0,
  manifest: counts => ({
    message_type: 'V0ExecutorManifestRequest',
    ...{ manifest: { executor_classes: counts } },
  }),
  largestFrame: largestFrameFor,
}

function parse(frame: string | Uint8Array): Parsed<ValidatorSays> {
  const parsed = parseFromValidator(frame)
  if (!parsed.ok) return parsed
  const { message } = parsed
  switch (message.message_type) {
    case 'V0AuthenticateRequest':
      return { ok: true, message: { kind: 'authentication', claim: claimOf(message) } }
    case 'GenericError':
      return { ok: true, message: { kind: 'error', details: message.details } }
    default:
      return { ok: true, message: { kind: 'request', request: requestFromV0(message), proof: undefined } }
  }
}

function claimOf({ payload, signature, capabilities }: V0AuthenticateRequest): Claim {
  return {
    validatorHotkey: payload.validator_hotkey,
    minerHotkey: payload.miner_hotkey,
    timestamp: payload.timestamp,
    signature,
    signedBytes: authenticationBytes(payload),
    capabilities: capabilities ?? [],
  }
}
