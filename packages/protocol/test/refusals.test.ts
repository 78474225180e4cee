import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Parser, WireError } from '../src/frame.ts'
import * as facilitatorValidator from '../src/v0/facilitator-validator.ts'
import * as minerExecutor from '../src/v0/miner-executor.ts'
import * as validatorMiner from '../src/v0/validator-miner.ts'
import { parseReceiptLine } from '../src/v2026/receipts/receipt-line.ts'
import { type Golden, readGolden } from './golden.ts'
import { PARSERS as PARSERS_OF_2026 } from './v2026/vectors.ts'

type AnyParser = { (frame: string | Uint8Array): ReturnType<Parser<unknown>>; messageTypes: readonly string[] }

const PARSERS: AnyParser[] = [
  validatorMiner.parseFromValidator,
  validatorMiner.parseFromMiner,
  minerExecutor.parseFromMiner,
  minerExecutor.parseFromExecutor,
  facilitatorValidator.parseFromFacilitator,
  facilitatorValidator.parseFromValidator,
  ...Object.values(PARSERS_OF_2026).flatMap(speakers => Object.values(speakers)),
  Object.assign((frame: string | Uint8Array) => parseReceiptLine(String(frame), 0), { messageTypes: [] }),
]

const LINKS = ['validator-miner', 'miner-executor', 'facilitator-validator']
const GOLDEN: Golden[] = LINKS.flatMap(link => [readGolden(link, 'v0/'), readGolden(link, 'v2026/')])
  .flatMap(link => Object.values(link))
  .flatMap(messages => Object.values(messages).flat())

function expectEveryParserToReturn(frame: string | Uint8Array): void {
  for (const parse of PARSERS) {
    const parsed = parse(frame)
    if (!parsed.ok) expect(parsed.error).toBeInstanceOf(WireError)
    else expect(typeof parsed.message).toBe('object')
  }
}

/** A golden frame with one place replaced by any JSON, or removed. */
const alteredFrame = fc
  .record({ golden: fc.constantFrom(...GOLDEN), place: fc.nat(), to: fc.option(fc.jsonValue(), { nil: undefined }) })
  .map(({ golden, place, to }) => JSON.stringify(alter(structuredClone(golden.frame), place, to)))

function alter(frame: unknown, place: number, to: unknown): unknown {
  const spots: [Record<string, unknown>, string][] = []
  const walk = (node: unknown) => {
    if (typeof node !== 'object' || node === null) return
    for (const key of Object.keys(node)) {
      spots.push([node as Record<string, unknown>, key])
      walk((node as Record<string, unknown>)[key])
    }
  }
  walk(frame)
  const [node, key] = spots[place % spots.length] ?? [{}, '']
  if (to === undefined) delete node[key]
  else node[key] = to
  return frame
}

describe('parsers never throw', () => {
  it('for any text', () =>
    fc.assert(fc.property(fc.string({ unit: 'binary' }), expectEveryParserToReturn), { numRuns: 500 }))
  it('for any bytes', () => fc.assert(fc.property(fc.uint8Array(), expectEveryParserToReturn)))
  it('for any JSON', () => fc.assert(fc.property(fc.json(), expectEveryParserToReturn), { numRuns: 500 }))
  it('for any object with a known message_type', () => {
    const types = GOLDEN.map(({ frame }) => (frame as { message_type?: string }).message_type ?? 'Response')
    const frame = fc
      .tuple(fc.constantFrom(...types), fc.dictionary(fc.string(), fc.jsonValue()))
      .map(([message_type, rest]) => JSON.stringify({ ...rest, message_type }))
    fc.assert(fc.property(frame, expectEveryParserToReturn), { numRuns: 500 })
  })
  it('for a golden frame with one place altered', () =>
    fc.assert(fc.property(alteredFrame, expectEveryParserToReturn), { numRuns: 2000 }))
  it('for nesting a million deep and for names of the prototype', () => {
    expectEveryParserToReturn('['.repeat(1_000_000))
    expectEveryParserToReturn(
      `{"message_type":"V0JobRequest","volume":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`,
    )
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expectEveryParserToReturn(`{"message_type":"${name}"}`)
      expectEveryParserToReturn(`{"${name}":{"message_type":"V0Heartbeat"}}`)
    }
  })
})

describe('a long invalid list is reported as one mistake', () => {
  const lots = (entry: string) => `${`${entry},`.repeat(300_000)}${entry}`
  const id = '7d8a4b0e-2f64-4d3e-9f43-0c6f3a5d9b11'
  const job = `"job_uuid":"${id}"`
  const offer = `"message_type":"V0InitialJobRequest",${job},"executor_class":"always_on.test"`
  const work = `"message_type":"V0JobRequest",${job},"executor_class":"always_on.test","docker_image":"a"`
  const run = '"docker_run_options_preset":"none"'
  const receipt = `"receipt_type":"JobFinishedReceipt",${job},"time_took_us":0,"score_str":"0"`
  const post = '"output_upload_type":"single_file_post","url":"u","relative_path":"a"'
  const fields = Array.from({ length: 100_000 }, (_, index) => `"${index}":[]`).join(',')
  it.each([
    ['arguments', `{"message_type":"V0JobRequest",${job},"docker_run_cmd":[${lots('[]')}]}`],
    ['form fields', `{"message_type":"V0JobRequest",${job},"output_upload":{"form_fields":{${fields}}}}`],
    ['variables', `{"message_type":"V0JobRequest",${job},"env":{${fields}}}`],
    ['capabilities', `{"message_type":"V0AuthenticateRequest","capabilities":[${lots('0')}]}`],
    ['classes', `{"message_type":"V0ExecutorManifestRequest","manifest":{"executor_classes":[${lots('0')}]}}`],
    ['errors', `{"status":"error","errors":[${lots('0')}]}`],
    ['v2026: a manifest of unknown classes', `{"message_type":"V0ExecutorManifestRequest","manifest":{${fields}}}`],
    ['v2026: receipts', `{"message_type":"V0DeclineJobRequest",${job},"receipts":[${lots('0')}]}`],
    [
      'v2026: blocks',
      `{"message_type":"V0JobFinishedReceiptRequest","payload":{${receipt},"block_numbers":[${lots('-1')}]}}`,
    ],
    ['v2026: a line of blocks', `{"payload":{${receipt},"block_numbers":[${lots('-1')}]}}`],
    ['v2026: volumes', `{${offer},"volume":{"volume_type":"multi_volume","volumes":[${lots('0')}]}}`],
    ['v2026: patterns', `{${offer},"volume":{"volume_type":"huggingface_volume","allow_patterns":[${lots('0')}]}}`],
    ['v2026: arguments', `{${work},${run},"docker_run_cmd":[${lots('[]')}]}`],
    ['v2026: uploads', `{${work},"output_upload":{"output_upload_type":"multi_upload","uploads":[${lots('{}')}]}}`],
    ['v2026: form fields', `{${work},"output_upload":{${post},"form_fields":{${fields}}}}`],
    ['v2026: signed headers', `{${work},"output_upload":{${post},"signed_headers":{${fields}}}}`],
    [
      'v2026: arguments of a user',
      `{"message_type":"V2JobRequest","uuid":"u","args":[${lots('0')}],"env":{${fields}}}`,
    ],
    ['v2026: artifacts', `{"message_type":"V0JobFinishedRequest",${job},"artifacts":{${fields}}}`],
    ['v2026: upload results', `{"message_type":"V0JobFinishedRequest",${job},"upload_results":{${fields}}}`],
    ['v2026: unknown fields of a response', `{"status":"error",${fields}}`],
  ])('%s', (_, frame) => {
    const [, type] = /"message_type":"(\w+)"/.exec(frame) ?? []
    for (const parse of PARSERS.filter(({ messageTypes }) => type === undefined || messageTypes.includes(type))) {
      const parsed = parse(frame)
      expect(parsed.ok ? 'parsed' : parsed.error.message).not.toMatch(/\d\d more$/)
    }
  })
})

describe('errors say what is wrong and where', () => {
  const job = { job_uuid: '7d8a4b0e-2f64-4d3e-9f43-0c6f3a5d9b11' }
  const work = {
    message_type: 'V0JobRequest',
    ...job,
    docker_image_name: 'img',
    docker_run_options_preset: 'none',
    docker_run_cmd: [],
    volume: { volume_type: 'inline', contents: '' },
  }
  const outcomeOf = (frame: unknown) => {
    const parsed = validatorMiner.parseFromValidator(typeof frame === 'string' ? frame : JSON.stringify(frame))
    return parsed.ok ? 'parsed' : `${parsed.error.code} | ${parsed.error.message}`
  }
  it.each([
    ['{', 'not-json | the frame is not JSON'],
    ['[]', 'not-an-object | the frame is not a JSON object'],
    ['null', 'not-an-object | the frame is not a JSON object'],
    [{}, 'unknown-message | message_type is missing or not one of this link'],
    [{ message_type: 7 }, 'unknown-message | message_type is missing or not one of this link'],
    [
      { message_type: 'V0AcceptJobRequest', ...job },
      'unknown-message | message_type is missing or not one of this link',
    ],
    [{ ...work, job_uuid: 'x' }, 'invalid-fields | job_uuid: must be a uuid'],
    [
      { ...work, raw_script: 'print(1)' },
      'invalid-fields | exactly one of docker_image_name and raw_script must be non-empty',
    ],
    [
      { ...work, docker_image_name: '' },
      'invalid-fields | exactly one of docker_image_name and raw_script must be non-empty',
    ],
    [{ ...work, docker_run_cmd: ['a', ['b']] }, 'invalid-fields | docker_run_cmd: must be a list of strings'],
    [
      { ...work, output_upload: { output_upload_type: 'zip_and_http_post', url: 'u', form_fields: { f: [] } } },
      'invalid-fields | output_upload.form_fields: must be a map of strings',
    ],
    [
      { ...work, volume: { volume_type: 'tape', contents: '' } },
      'invalid-fields | volume.volume_type: must be "inline" or "zip_url"',
    ],
  ])('%j', (frame, words) => {
    expect(outcomeOf(frame)).toBe(words)
  })
  it('repeat no value of the frame', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 12 }), secret => {
        const words = outcomeOf({ ...work, job_uuid: secret, docker_run_options_preset: { [secret]: secret } })
        return !words.includes(secret)
      }),
    )
  })
  it('a signed timestamp is not converted from a string', () => {
    const payload = { validator_hotkey: 'x', miner_hotkey: 'y', timestamp: '1713434400' }
    expect(outcomeOf({ message_type: 'V0AuthenticateRequest', payload, signature: '0x' })).toContain(
      'payload.timestamp',
    )
  })
  it('link 3 refuses unknown fields', () => {
    const frame = JSON.stringify({ message_type: 'V0Heartbeat', later: 1 })
    expect(facilitatorValidator.parseFromValidator(frame)).toMatchObject({
      ok: false,
      error: { code: 'invalid-fields', message: 'unknown fields are refused' },
    })
    const response = JSON.stringify({ status: 'success', errors: [], later: 1 })
    expect(facilitatorValidator.parseFromFacilitator(response).ok).toBe(false)
  })
  it('binary frames are refused', () => {
    expect(validatorMiner.parseFromValidator(new TextEncoder().encode('{}'))).toMatchObject({
      ok: false,
      error: { code: 'binary' },
    })
  })
})
