/**
 * The texts, in UTF-8, that peers sign beside offers, work and users' jobs. A signature over the same text inside
 * `<Bytes>…</Bytes>` is good too. What a validator signs for a facilitator: `facilitatorLoginBytes`.
 */
import { SORTED, writeJson } from '../../json/write-json.ts'
import type { V0StreamingJobReadyRequest } from '../messages.ts'
import type { ReceiptPayload } from '../receipts/payloads.ts'
import type { ValidatorAuthForMiner } from '../validator-miner.ts'

type Authentication = Pick<ValidatorAuthForMiner, 'validator_hotkey' | 'miner_hotkey' | 'timestamp'>

/** Returns what a validator signs to authenticate to a miner. */
export function authenticationText({ validator_hotkey, miner_hotkey, timestamp }: Authentication): string {
  return `${validator_hotkey}:${miner_hotkey}:${timestamp}`
}

type StreamingReady = Pick<V0StreamingJobReadyRequest, 'job_uuid' | 'ip' | 'port' | 'public_key'>

/** Returns what a miner signs about the server of a streaming job. */
export function streamingReadyText({ job_uuid, ip, port, public_key }: StreamingReady): string {
  return `${job_uuid}:${ip ?? 'None'}:${port}:${public_key}`
}

/** Returns what a validator signs, and the miner countersigns, of a receipt as it was parsed or made here. */
export function receiptText(payload: ReceiptPayload): string {
  return writeJson(payload, SORTED)
}
