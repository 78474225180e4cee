import type { Hotkey } from '@horde/chain/wallet'
import { authenticationBytes } from '@horde/protocol/handshake/signing'
import { hotkey as hotkeySchema } from '@horde/protocol/primitives'
import { CAPABILITIES, type V0AuthenticateRequest } from '@horde/protocol/validator-miner'

/**
 * The first message to a miner: who we are, signed for this miner and moment, and what we understand beyond the dialect.
 *
 * @param nowMs ms since the epoch
 */
export function authenticate(hotkey: Hotkey, minerHotkey: string, nowMs: number): V0AuthenticateRequest {
  const payload = {
    validator_hotkey: hotkeySchema.parse(hotkey.ss58),
    miner_hotkey: hotkeySchema.parse(minerHotkey),
    timestamp: Math.floor(nowMs / 1000),
  }
  const signature = `0x${Buffer.from(hotkey.sign(authenticationBytes(payload))).toString('hex')}`
  return { message_type: 'V0AuthenticateRequest', payload, signature, capabilities: [...CAPABILITIES] }
}
