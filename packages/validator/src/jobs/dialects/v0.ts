import { authenticationBytes } from '@horde/protocol/handshake/signing'
import { hotkey as hotkeySchema } from '@horde/protocol/primitives'
import { v0Obstacle } from '@horde/protocol/v0/job-codec'
import {
  CAPABILITIES,
  type MinerMessage,
  parseFromMiner,
  type V0AuthenticateRequest,
} from '@horde/protocol/v0/validator-miner'
import { reportFromV0, requestToV0 } from '@horde/protocol/v0/validator-miner-codec'
import type { Ends, MinerDialect, ReadMessage } from './miner-dialect.ts'

/** Link 1 as the network of April 2024 speaks it. */
export const V0: MinerDialect = {
  repeats: true,
  reportsStages: false,
  obstacle: v0Obstacle,
  isPerJob: false,
  authentication,
  request: request => ({ message: requestToV0(request) }),
  notice: () => undefined,
  read: frame => {
    const parsed = parseFromMiner(frame)
    return parsed.ok ? { ok: true, message: messageIn(parsed.message) } : parsed
  },
}

/** The capabilities name the additions of ours that this validator understands. */
function authentication({ hotkey, minerHotkey }: Ends, nowMs: number): V0AuthenticateRequest {
  const payload = {
    validator_hotkey: hotkeySchema.parse(hotkey.ss58),
    miner_hotkey: hotkeySchema.parse(minerHotkey),
    timestamp: Math.floor(nowMs / 1000),
  }
  const signature = `0x${Buffer.from(hotkey.sign(authenticationBytes(payload))).toString('hex')}`
  return { message_type: 'V0AuthenticateRequest', payload, signature, capabilities: [...CAPABILITIES] }
}

function messageIn(message: MinerMessage): ReadMessage {
  switch (message.message_type) {
    case 'GenericError':
      return { type: 'error', text: message.details ?? '', isRefusal: false }
    case 'UnauthorizedError':
      return { type: 'error', text: message.details ?? message.code, isRefusal: true }
    case 'V0ExecutorManifestRequest':
      return { type: 'manifest', manifest: message.manifest.executor_classes }
    default:
      return { type: 'report', report: reportFromV0(message) }
  }
}
