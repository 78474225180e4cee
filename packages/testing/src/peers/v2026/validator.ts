/** A scripted validator of v2026: a test sends its messages to a miner. Its frames have every key, as Python's have. */
import type { Hotkey } from '@horde/chain/wallet'
import { silentLog } from '@horde/kit/log'
import { dialSocket } from '@horde/kit/socket'
import type { ExecutorClass } from '@horde/protocol/classes'
import { LARGEST_PASSED_ON_BYTES } from '@horde/protocol/frame'
import type { ReceiptPayload } from '@horde/protocol/v2026/receipts/payloads'
import { receiptTimeAt } from '@horde/protocol/v2026/receipts/times'
import { canonicalTextToSend } from '@horde/protocol/v2026/signing/canonical-text'
import { authenticationText, receiptText } from '@horde/protocol/v2026/signing/signed-texts'
import { type MinerMessage, parseFromMiner } from '@horde/protocol/v2026/validator-miner'
import { asPeer, type Peer } from '../peer.ts'
import { minerKey, validatorKey } from '../validator.ts'

export type ValidatorPeer2026 = Peer<MinerMessage, object>

/** Returns a signature as `0x…`. */
export function signatureOf(key: Hotkey, text: string): string {
  return `0x${Buffer.from(key.sign(new TextEncoder().encode(text))).toString('hex')}`
}

/** Opens a connection to the miner's port for validators, and sends nothing. */
export async function dialMiner2026(
  { url }: { url: string },
  key: Hotkey = validatorKey(),
  headers: Record<string, string> = {},
): Promise<ValidatorPeer2026> {
  const options = { maxFrameBytes: LARGEST_PASSED_ON_BYTES, log: silentLog, parse: parseFromMiner, headers }
  return asPeer<MinerMessage, object>(await dialSocket(`${url}/v0.1/validator_interface/${key.ss58}`, options))
}

/** Returns the first message. `changes` replace fields before signing. */
export function authentication2026(key: Hotkey = validatorKey(), changes: object = {}): object {
  const claim = {
    validator_hotkey: key.ss58,
    miner_hotkey: minerKey().ss58,
    timestamp: Math.floor(Date.now() / 1000),
    ...changes,
  }
  return { message_type: 'ValidatorAuthForMiner', ...claim, signature: signatureOf(key, authenticationText(claim)) }
}

/** Connects and authenticates, and reads the manifest. */
export async function connectValidator2026(
  miner: { url: string },
  key: Hotkey = validatorKey(),
): Promise<ValidatorPeer2026> {
  const peer = await dialMiner2026(miner, key)
  await peer.send(authentication2026(key))
  const first = await peer.next()
  if (first.message_type !== 'V0ExecutorManifestRequest') throw new Error(`a ${first.message_type} came first`)
  return peer
}

const TIMING = {
  allowed_leeway: 5,
  download_time_limit: 10,
  execution_time_limit: 20,
  upload_time_limit: 10,
  streaming_start_time_limit: 0,
}

export interface Offer2026 {
  key?: Hotkey
  executorClass?: ExecutorClass
  /** Replace fields of the offer. */
  changes?: object
  /** Replace fields of its receipt before it is signed. */
  receipt?: object
}

/** Returns an offer as validators of January 2026 make it: not signed. */
export function offer2026(jobUuid: string, options: Offer2026 = {}): object {
  const { key = validatorKey(), executorClass = 'always_on.test', changes, receipt } = options
  const payload = {
    job_uuid: jobUuid,
    miner_hotkey: minerKey().ss58,
    validator_hotkey: key.ss58,
    timestamp: receiptTimeAt(Date.now()),
    receipt_type: 'JobStartedReceipt',
    executor_class: executorClass,
    is_organic: true,
    ttl: 7,
    ...receipt,
  } as ReceiptPayload
  return {
    message_type: 'V0InitialJobRequest',
    job_uuid: jobUuid,
    executor_class: executorClass,
    docker_image: 'img',
    timeout_seconds: 300,
    volume: null,
    job_started_receipt_payload: payload,
    job_started_receipt_signature: signatureOf(key, receiptText(payload)),
    streaming_details: null,
    executor_timing: TIMING,
    ...changes,
  }
}

/** Returns work as validators of January 2026 make it: not signed. */
export function work2026(jobUuid: string, changes: object = {}): object {
  return {
    message_type: 'V0JobRequest',
    job_uuid: jobUuid,
    executor_class: 'always_on.test',
    docker_image: 'img',
    raw_script: null,
    docker_run_options_preset: 'none',
    docker_run_cmd: ['a'],
    env: {},
    volume: null,
    output_upload: null,
    artifacts_dir: null,
    ...changes,
  }
}

/** Returns an offer or work as validators of October 2026 make it. */
export function signed2026(message: object, key: Hotkey = validatorKey()): object {
  return { validator_signature: signatureOf(key, canonicalTextToSend(message)), ...message }
}

/** Returns the receipt that a validator sends for an accepted or an ended job. */
export function receipt2026(
  jobUuid: string,
  kind: 'accepted' | 'finished',
  changes: object = {},
  key: Hotkey = validatorKey(),
): object {
  const now = receiptTimeAt(Date.now())
  const common = { job_uuid: jobUuid, miner_hotkey: minerKey().ss58, validator_hotkey: key.ss58, timestamp: now }
  const accepted = { ...common, receipt_type: 'JobAcceptedReceipt', time_accepted: now, ttl: 60 }
  const score = { time_took_us: 1_000_000, score_str: '40.000000', block_numbers: [] }
  const finished = { ...common, receipt_type: 'JobFinishedReceipt', time_started: now, ...score }
  const payload = { ...(kind === 'accepted' ? accepted : finished), ...changes } as ReceiptPayload
  const message_type = kind === 'accepted' ? 'V0JobAcceptedReceiptRequest' : 'V0JobFinishedReceiptRequest'
  return { message_type, payload, signature: signatureOf(key, receiptText(payload)) }
}
