import { readFileSync } from 'node:fs'
import { type JsonObject, readJson } from '@horde/protocol/json/read-json'
import { parseFromFacilitator, type V2JobRequest } from '@horde/protocol/v2026/facilitator-validator'
import { parseReceiptLine } from '@horde/protocol/v2026/receipts/receipt-line'
import { canonicalText } from '@horde/protocol/v2026/signing/canonical-text'
import { authenticationText, receiptText, streamingReadyText } from '@horde/protocol/v2026/signing/signed-texts'
import { userCheatTexts, userDigest, userJobText } from '@horde/protocol/v2026/signing/user-signature'
import { parseFromValidator } from '@horde/protocol/v2026/validator-miner'
import { beforeAll, describe, expect, it } from 'vitest'
import { cryptoReady, hotkeyFromUri, verifySignature } from '../src/wallet.ts'

/** Signatures that the packages of 2026 made, over texts that ours make. */
function readVectors<T>(name: string): T {
  const file = new URL(`../../protocol/test/fixtures/v2026/${name}`, import.meta.url)
  return JSON.parse(readFileSync(file, 'utf8')) as T
}

const KEYS = Object.fromEntries(['//Alice', '//Bob', '//Charlie'].map(uri => [uri, hotkeyFromUri(uri).ss58]))
const ALICE = KEYS['//Alice'] ?? ''
const BOB = KEYS['//Bob'] ?? ''
const utf8 = new TextEncoder()

const verifies = (hotkey: string, text: string, signature: string) =>
  verifySignature(hotkey, utf8.encode(text), signature)

beforeAll(cryptoReady)

describe('verifySignature, with the texts of dialect v2026', () => {
  type SignedFrame = { name: string; frame: string; verifies_for?: string[] }
  const october = readVectors<{
    signed_frames: SignedFrame[]
    receipts: { transfer_lines: { name: string; line?: string; accepted: boolean; why?: string }[] }
    user_signatures: UserSignature[]
  }>('october.json')

  it.each(october.signed_frames.filter(({ verifies_for }) => verifies_for !== undefined))(
    'offers and work: $name',
    ({ frame, verifies_for }) => {
      const parsed = parseFromValidator(frame)
      if (!parsed.ok || !('validator_signature' in parsed.message)) throw new Error('not parsed')
      const signature = parsed.message.validator_signature ?? ''
      const text = canonicalText(parsed.received)
      const signers = Object.entries(KEYS).filter(([, hotkey]) => verifies(hotkey, text, signature))
      expect(signers.map(([uri]) => uri)).toEqual(verifies_for)
    },
  )

  type Authentication = { name: string; signature: string; verifies: boolean; frame?: string }
  const auth = readVectors<{
    validator_to_miner: Authentication[]
    streaming_ready: { name: string; signed_text: string; miner_signature: string }[]
  }>('auth.json')
  it.each(auth.validator_to_miner)('authentication: $name', ({ frame, signature, verifies: expected }) => {
    // Vectors without a frame differ from the first one in the signature alone.
    const parsed = parseFromValidator(frame ?? auth.validator_to_miner[0]?.frame ?? '')
    if (!parsed.ok || parsed.message.message_type !== 'ValidatorAuthForMiner') throw new Error('not parsed')
    const { validator_hotkey } = parsed.message
    const text = authenticationText(parsed.message)
    expect(verifies(validator_hotkey, text, signature)).toBe(expected)
  })
  it.each(auth.streaming_ready)('server of a streaming job: $name', ({ signed_text, miner_signature }) => {
    const [, job_uuid = '', ip = '', port = '', public_key = ''] = /^(.+?):(.+?):(\d+):(.*)$/s.exec(signed_text) ?? []
    const server = { job_uuid, ip: ip === 'None' ? null : ip, port: Number(port), public_key }
    expect(verifies(BOB, streamingReadyText(server), miner_signature)).toBe(true)
  })

  type Receipt = { name: string; page_line: string }
  const now = Date.parse('2026-11-01T00:00:00Z')
  const bothVerify = (line: string) => {
    const parsed = parseReceiptLine(line, now)
    if (!parsed.ok) return false
    const { payload, validator_signature, miner_signature } = parsed.message
    const text = receiptText(payload)
    return (
      verifies(payload.validator_hotkey, text, validator_signature) &&
      verifies(payload.miner_hotkey, text, miner_signature)
    )
  }
  it.each(readVectors<{ receipts: Receipt[] }>('receipts.json').receipts)('receipts: $name', ({ page_line }) => {
    expect(bothVerify(page_line)).toBe(true)
  })
  it.each(october.receipts.transfer_lines.filter(({ line }) => line !== undefined))(
    'lines of published receipts: $name',
    ({ line = '', accepted }) => expect(bothVerify(line)).toBe(accepted),
  )

  type UserSignature = { name: string; J?: string; timestamp_ns: string; signature_base64: string }
  const { signatures } = readVectors<{ signatures: UserSignature[] }>('signatures.json')
  const { frames } = readVectors<{ frames: { frame: string }[] }>('frames.json')
  const verifiesForUser = (text: string, { timestamp_ns, signature_base64 }: UserSignature) => {
    const digest = userDigest(text, BigInt(timestamp_ns)) ?? new Uint8Array()
    return verifySignature(ALICE, digest, `0x${Buffer.from(signature_base64, 'base64').toString('hex')}`)
  }
  const jobOf = (frame: string): [V2JobRequest, JsonObject] => {
    const parsed = parseFromFacilitator(frame)
    if (!parsed.ok) throw parsed.error
    return [parsed.message as V2JobRequest, parsed.received]
  }
  it.each([...signatures, ...october.user_signatures].filter(({ J }) => J !== undefined))(
    'jobs of users: $name',
    signature => {
      const signed = frames.find(({ frame }) => frame.includes(signature.signature_base64))?.frame
      const { volumes: _, uploads: __, ...fields } = JSON.parse(signature.J ?? '') as Record<string, unknown>
      const asFrame = JSON.stringify({ message_type: 'V2JobRequest', uuid: 'u', ...fields })
      const frame = fields.streaming_details === null ? asFrame : (signed ?? '')
      expect(verifiesForUser(userJobText(...jobOf(frame)), signature)).toBe(true)
      const other = frame.replace(/"docker_image": ?"/, '$&x')
      expect(verifiesForUser(userJobText(...jobOf(other)), signature)).toBe(false)
    },
  )
  it.each(signatures.filter(({ J }) => J === undefined))('reports of cheats: $name', signature => {
    const cheat = readJson(frames.find(({ frame }) => frame.includes('V0JobCheated'))?.frame ?? '')
    const texts = userCheatTexts(cheat as JsonObject)
    expect(texts.filter(text => verifiesForUser(text, signature))).toHaveLength(1)
  })
})
