/** Builds the exact bytes that peers sign. The chain package makes and checks the signatures. */
import type { AuthenticationPayload } from '../v0/validator-miner.ts'

const NOT_ASCII = /[\u0080-\uffff]/g

/**
 * Returns what a validator signs for its miner: the three payload fields as Python's `json.dumps(…, sort_keys=True)`
 * writes them, with a space after each colon and comma and everything beyond ASCII escaped.
 */
export function authenticationBytes(payload: AuthenticationPayload): Uint8Array {
  const { miner_hotkey, timestamp, validator_hotkey } = payload
  const json =
    `{"miner_hotkey": ${quoted(miner_hotkey)}, "timestamp": ${timestamp}, ` +
    `"validator_hotkey": ${quoted(validator_hotkey)}}`
  return new TextEncoder().encode(json)
}

/** Returns what a validator signs for a facilitator: the 32 raw bytes of its public key, given as 64 hex digits. */
export function facilitatorLoginBytes(publicKeyHex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(publicKeyHex, 'hex'))
}

function quoted(value: string): string {
  return JSON.stringify(value).replace(NOT_ASCII, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
