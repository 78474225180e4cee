import { describe, expect, it } from 'vitest'
import { facilitatorLoginBytes } from '../../src/handshake/signing.ts'
import { type JsonObject, readJson } from '../../src/json/read-json.ts'
import { parseFromFacilitator, type V0JobCheated, type V2JobRequest } from '../../src/v2026/facilitator-validator.ts'
import { frameOf } from '../../src/v2026/frame.ts'
import { canonicalText, canonicalTextToSend } from '../../src/v2026/signing/canonical-text.ts'
import { authenticationText, streamingReadyText } from '../../src/v2026/signing/signed-texts.ts'
import { userCheatTexts, userDigest, userJobJson, userJobText } from '../../src/v2026/signing/user-signature.ts'
import { parseFromValidator } from '../../src/v2026/validator-miner.ts'
import { PARSERS, readVectors } from './vectors.ts'

describe('canonicalText of offers and work', () => {
  type SignedFrame = { name: string; frame: string; accepted: boolean; signed_text?: string }
  const { signed_frames } = readVectors<{ signed_frames: SignedFrame[] }>('october.json')

  it('has 46 cases', () => expect(signed_frames).toHaveLength(46))
  it.each(signed_frames)('$name', ({ frame, accepted, signed_text }) => {
    const parsed = parseFromValidator(frame)
    expect(parsed.ok).toBe(accepted)
    if (parsed.ok && signed_text !== undefined) expect(canonicalText(parsed.received)).toBe(signed_text)
  })

  it.each([
    ['9007199254740993', '9007199254740993'],
    ['-12345678901234567890', '-12345678901234567890'],
    ['1e15', '1000000000000000.0'],
    ['123456789012345678.5', '1.2345678901234568e+17'],
    ['0.0001', '0.0001'],
    ['0.00001', '1e-05'],
    ['1.5e300', '1.5e+300'],
    ['-1e400', '-Infinity'],
    ['5e-324', '5e-324'],
    ['0.0', '0.0'],
    ['100', '100'],
  ])('writes %s as Python does', (source, text) => {
    expect(canonicalText(readJson(`{"zz":${source}}`) as JsonObject)).toBe(`{"zz":${text}}`)
  })

  it('sorts keys by code point, also where only the second half of a pair differs', () => {
    const keys = ['\u{1f600}', '\u{1f601}', '\ud83d', '\ud83dz', '\uff5e', '\u{1f600}a', '', 'a']
    const text = canonicalText(new Map(keys.map(key => [key, null])))
    const sorted = ['', 'a', '\\ud83d', '\\ud83dz', '\\uff5e', '\\ud83d\\ude00', '\\ud83d\\ude00a', '\\ud83d\\ude01']
    expect(text).toBe(`{${sorted.map(key => `"${key}":null`).join(',')}}`)
  })

  it('leaves out validator_signature at the top alone', () => {
    const frame = readJson('{"validator_signature":"0x00","a":{"validator_signature":1}}') as JsonObject
    expect(canonicalText(frame)).toBe('{"a":{"validator_signature":1}}')
  })

  it.each(signed_frames.filter(({ accepted, signed_text }) => accepted && signed_text !== undefined))(
    'a message that we send has the text that its receiver makes: $name',
    ({ frame }) => {
      const parsed = parseFromValidator(frame)
      if (!parsed.ok) throw parsed.error
      const text = canonicalTextToSend(parsed.message)
      const sent = parseFromValidator(frameOf({ ...parsed.message, validator_signature: `0x${'00'.repeat(64)}` }))
      if (!sent.ok) throw sent.error
      expect(canonicalText(sent.received)).toBe(text)
    },
  )
})

describe('frames as they come', () => {
  const { frame_encodings, frame_limits } = readVectors<{
    frame_encodings: { input: string; accepted: boolean }[]
    frame_limits: { what: string; value: unknown }[]
  }>('october.json')
  const question = '{"message_type":"V0MainHotkeyMessage"}'

  it('are text: bytes are refused, which the library takes but no peer sends', () => {
    const inputs = ['UTF-8', 'UTF-8 with a byte order mark', 'UTF-16', 'text with a byte order mark', 'broken UTF-8']
    expect(frame_encodings.map(({ input }) => input)).toEqual(inputs)
    expect(parseFromValidator(question).ok).toBe(true)
    expect(parseFromValidator(new TextEncoder().encode(question)).ok).toBe(false)
    expect(parseFromValidator(`\ufeff${question}`).ok).toBe(frame_encodings[3]?.accepted)
  })
  it('may be nested and have numbers as long as the library takes', () => {
    expect(frame_limits.map(({ value }) => value)).toEqual([992, [true, false]])
    const withKey = (value: string) => `{"message_type":"V0MainHotkeyMessage","zz":${value}}`
    const nested = (levels: number) => withKey(`${'['.repeat(levels)}${']'.repeat(levels)}`)
    expect([nested(992), nested(993)].map(frame => parseFromValidator(frame).ok)).toEqual([true, false])
    const digits = [4300, 4301].map(count => withKey('1'.repeat(count)))
    expect(digits.map(frame => parseFromValidator(frame).ok)).toEqual([true, false])
  })
})

describe('signed texts of authentication', () => {
  type Vector = { name: string; frame?: string; signed_text: string; verifies: boolean }
  type Streaming = { name: string; signed_text: string }
  const vectors = readVectors<{
    validator_to_miner: Vector[]
    validator_to_facilitator: { frame: string; signed_bytes_hex: string }[]
    streaming_ready: Streaming[]
  }>('auth.json')

  it.each(vectors.validator_to_miner.filter(({ frame }) => frame !== undefined))(
    'validator to miner: $name',
    ({ frame = '', signed_text }) => {
      const parsed = parseFromValidator(frame)
      if (!parsed.ok || parsed.message.message_type !== 'ValidatorAuthForMiner') throw new Error('not parsed')
      expect(authenticationText(parsed.message)).toBe(signed_text)
    },
  )
  it.each(vectors.validator_to_facilitator)('validator to facilitator', ({ frame, signed_bytes_hex }) => {
    const parsed = PARSERS[3]?.V?.(frame)
    if (!parsed?.ok) throw parsed?.error
    const { public_key } = parsed.message as { public_key: string }
    expect(Buffer.from(facilitatorLoginBytes(public_key)).toString('hex')).toBe(signed_bytes_hex)
  })
  it.each(vectors.streaming_ready)('server of a streaming job: $name', ({ signed_text }) => {
    const [, job_uuid = '', ip = '', port = '', public_key = ''] = /^(.+?):(.+?):(\d+):(.*)$/s.exec(signed_text) ?? []
    const server = { job_uuid, ip: ip === 'None' ? null : ip, port: Number(port), public_key }
    expect(streamingReadyText(server)).toBe(signed_text)
  })
})

describe('texts that users sign', () => {
  type Signature = { name: string; timestamp_ns: string; J?: string; P: string; digest_hex: string }
  const { signatures } = readVectors<{ signatures: (Signature & { signature_base64: string })[] }>('signatures.json')
  const { user_signatures } = readVectors<{ user_signatures: Signature[] }>('october.json')
  const { frames } = readVectors<{ frames: { frame: string }[] }>('frames.json')
  const received = <M>(frame: string): { message: M; received: JsonObject } => {
    const parsed = parseFromFacilitator(frame)
    if (!parsed.ok) throw parsed.error
    return { message: parsed.message as M, received: parsed.received }
  }
  const digestOf = ({ P, timestamp_ns }: Signature) =>
    Buffer.from(userDigest(P, BigInt(timestamp_ns)) ?? []).toString('hex')

  it.each(signatures.filter(({ J }) => J !== undefined))('a job: $name', signature => {
    const job = signature.J?.includes('"volumes":[]') ? asFrame(signature.J) : frameSigned(signature.signature_base64)
    const { message, received: object } = received<V2JobRequest>(job)
    expect(userJobJson(message, object)).toBe(signature.J)
    expect(userJobText(message, object)).toBe(signature.P)
    expect(digestOf(signature)).toBe(signature.digest_hex)
  })
  it.each(user_signatures)('a job: $name', signature => {
    const { message, received: object } = received<V2JobRequest>(asFrame(signature.J ?? ''))
    expect(userJobJson(message, object)).toBe(signature.J)
    expect(userJobText(message, object)).toBe(signature.P)
    expect(digestOf(signature)).toBe(signature.digest_hex)
  })
  it.each(signatures.filter(({ J }) => J === undefined))('a cheat: $name', signature => {
    const cheat = frames.find(({ frame }) => frame.includes('V0JobCheated'))?.frame ?? ''
    const { received: object } = received<V0JobCheated>(cheat)
    expect(userCheatTexts(object)).toContain(signature.P)
    expect(digestOf(signature)).toBe(signature.digest_hex)
  })

  it('keep the order of keys that look like numbers', () => {
    const job = JSON.parse(frameSigned(signatures[0]?.signature_base64 ?? '')) as object
    const maps = '{"z":"1","10":"2","9":"3"}'
    const upload = `{"output_upload_type":"single_file_post","url":"u","form_fields":${maps},"relative_path":"a","signed_headers":${maps}}`
    const withMaps = (output_upload: string) =>
      JSON.stringify({ ...job, signature: null, env: JSON.rawJSON('0'), output_upload: JSON.rawJSON('1') })
        .replace('"env":0', `"env":${maps}`)
        .replace('"output_upload":1', `"output_upload":${output_upload}`)
    for (const frame of [upload, `{"output_upload_type":"multi_upload","uploads":[${upload}]}`].map(withMaps)) {
      const { message, received: object } = received<V2JobRequest>(frame)
      expect(userJobJson(message, object)).toContain(`"env":${maps},`)
      expect(userJobJson(message, object)).toContain(`"uploads":[${upload}]`)
    }
  })
  it('have no digest for a time beyond 8 bytes', () => {
    expect(userDigest('', -1n)).toBeUndefined()
    expect(userDigest('', 2n ** 64n)).toBeUndefined()
    expect(userDigest('', 2n ** 64n - 1n)).toHaveLength(64)
  })

  function frameSigned(signature: string): string {
    return frames.find(({ frame }) => frame.includes(signature))?.frame ?? ''
  }
})

/** Returns a job without volumes and uploads as a frame, from the JSON that its user signed. */
function asFrame(signed: string): string {
  const { volumes: _, uploads: __, ...job } = JSON.parse(signed) as Record<string, unknown>
  return JSON.stringify({ message_type: 'V2JobRequest', uuid: 'u', ...job })
}
