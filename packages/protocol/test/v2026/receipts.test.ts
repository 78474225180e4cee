import { describe, expect, it } from 'vitest'
import { acceptedReceipt, finishedReceipt, scoreText, startedReceipt } from '../../src/v2026/receipts/make-receipts.ts'
import {
  jobAcceptedPayload,
  jobFinishedPayload,
  jobStartedPayload,
  type ReceiptPayload,
} from '../../src/v2026/receipts/payloads.ts'
import { parseReceiptLine } from '../../src/v2026/receipts/receipt-line.ts'
import { receiptTime } from '../../src/v2026/receipts/times.ts'
import { receiptText } from '../../src/v2026/signing/signed-texts.ts'
import { PARSERS, plain, readVectors } from './vectors.ts'

type Vector = { name: string; payload_as_sent: string; signed_text: string; page_line: string }
type Form = { received: string | number; in_signed_text: string }
type Bound = { receipt_type: Type; field: string; value: unknown; accepted: boolean; in_signed_text?: unknown }
type Made = { receipt: string; asked: Record<string, unknown>; made: Record<string, unknown> | null }
type Line = { name: string; line?: string; accepted: boolean; why?: string }
type Type = 'JobStartedReceipt' | 'JobAcceptedReceipt' | 'JobFinishedReceipt'

const { receipts, timestamps } = readVectors<{ receipts: Vector[]; timestamps: { forms: Form[] } }>('receipts.json')
const october = readVectors<{
  receipts: { bounds: Bound[]; made_by_the_client: Made[]; transfer_lines: Line[] }
}>('october.json').receipts

const SCHEMAS = {
  JobStartedReceipt: jobStartedPayload,
  JobAcceptedReceipt: jobAcceptedPayload,
  JobFinishedReceipt: jobFinishedPayload,
}
const NOW = Date.parse('2026-11-01T00:00:00Z')
const common = {
  job_uuid: 'b4793a02-33a2-4a49-b4e2-4a7b903847e7',
  miner_hotkey: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty',
  validator_hotkey: '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY',
  timestamp: '2026-10-26T13:18:47.123456Z',
}
const GOOD: Record<Type, Record<string, unknown>> = {
  JobStartedReceipt: { ...common, executor_class: 'always_on.test', is_organic: true, ttl: 7 },
  JobAcceptedReceipt: { ...common, time_accepted: '2026-10-26T13:18:48Z', ttl: 343 },
  JobFinishedReceipt: { ...common, time_started: '2026-10-26T13:18:47Z', time_took_us: 1, score_str: '1.000000' },
}

describe('receiptText', () => {
  it.each(receipts)('of a receipt as sent: $name', ({ payload_as_sent, signed_text }) => {
    const sent = plain(payload_as_sent) as { receipt_type: Type }
    expect(receiptText(SCHEMAS[sent.receipt_type].parse(sent))).toBe(signed_text)
  })
  it.each(receipts)('of a line of a page: $name', ({ page_line, signed_text }) => {
    const parsed = parseReceiptLine(page_line, NOW)
    if (!parsed.ok) throw parsed.error
    expect(receiptText(parsed.message.payload)).toBe(signed_text)
    expect(JSON.parse(page_line)).toEqual(parsed.message)
  })
})

describe('times', () => {
  it.each(timestamps.forms)('$received is signed as $in_signed_text', ({ received, in_signed_text }) => {
    // Since October 2026 a time without a zone is refused.
    const hasZone = /(Z|[+-]\d\d:\d\d)$/.test(in_signed_text)
    expect(receiptTime.safeParse(received).data).toBe(hasZone ? in_signed_text : undefined)
  })
  it.each([
    ['2026-10-26T10:00:00,5-0230', '2026-10-26T10:00:00.500000-02:30'],
    ['2026-10-26_10:00\u221202:00', '2026-10-26T10:00:00-02:00'],
    [1793008800123, '2026-10-26T10:00:00.123000Z'],
    ['1793008800.25', '2026-10-26T10:00:00.250000Z'],
  ])('%j is signed as %j', (received, signed) => expect(receiptTime.safeParse(received).data).toBe(signed))
  it.each([
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-10-26T24:00:00Z',
    '2026-10-26T10:60:00Z',
    '2026-10-26T10:00:60Z',
    '2026-10-26T10:00:00+24:00',
    '2026-10-26T10:00:00.Z',
    ' 2026-10-26T10:00:00Z',
    '26-10-26T10:00:00Z',
    '',
    'now',
    null,
    true,
    [],
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e300,
  ])('%j is none', value => expect(receiptTime.safeParse(value).success).toBe(false))
})

describe('bounds of receipts', () => {
  it('are 96 cases', () => expect(october.bounds).toHaveLength(96))
  it.each(october.bounds)('$receipt_type $field $value', ({ receipt_type, field, value, accepted, in_signed_text }) => {
    const payload = { ...GOOD[receipt_type], [field]: longValue(value) }
    const parsed = SCHEMAS[receipt_type].safeParse(payload)
    expect(parsed.success).toBe(accepted)
    if (parsed.data && in_signed_text !== undefined) {
      expect(JSON.parse(receiptText(parsed.data))[field]).toEqual(in_signed_text)
    }
    expect(takenEverywhere(receipt_type, payload)).toEqual(Array(3).fill(accepted))
  })

  /** Returns whether a payload is taken in a line of a page, in an excuse, and in the frame of its kind. */
  function takenEverywhere(receipt_type: Type, payload: object): boolean[] {
    const receipt = { payload: { ...payload, receipt_type }, validator_signature: 'v', miner_signature: 'm' }
    const uuid = { job_uuid: common.job_uuid }
    const offer = { message_type: 'V0InitialJobRequest', ...uuid, executor_class: 'always_on.test' }
    const frames = {
      JobStartedReceipt: { ...offer, job_started_receipt_payload: payload, job_started_receipt_signature: 's' },
      JobAcceptedReceipt: { message_type: 'V0JobAcceptedReceiptRequest', payload, signature: 's' },
      JobFinishedReceipt: { message_type: 'V0JobFinishedReceiptRequest', payload, signature: 's' },
    }
    const decline = { message_type: 'V0DeclineJobRequest', ...uuid, receipts: [receipt] }
    return [
      parseReceiptLine(JSON.stringify(receipt), Date.parse('2099-12-31T23:59:59Z')).ok,
      PARSERS[1]?.M?.(JSON.stringify(decline)).ok ?? false,
      PARSERS[1]?.V?.(JSON.stringify(frames[receipt_type])).ok ?? false,
    ]
  }
})

describe('receipts that a validator makes', () => {
  const of = { jobUuid: common.job_uuid, minerHotkey: 'm', validatorHotkey: 'v', now: NOW }
  /**
   * Where ours differs from the v2026 client. That makes no receipt of a time out of bounds; ours cuts it, because a
   * job without receipts is neither paid nor counted as busy.
   */
  const CUT: Record<string, Record<string, number>> = {
    'started {"ttl":-1}': { ttl: 0 },
    'accepted {"ttl":-1}': { ttl: 0 },
    'started {"ttl":2592001}': { ttl: 2_592_000 },
    'finished {"time_took_seconds":31536001}': { time_took_us: 31_536_000_000_000 },
  }

  it('are 17 cases', () => expect(october.made_by_the_client).toHaveLength(17))
  it.each(october.made_by_the_client)('$receipt $asked', ({ receipt, asked, made }) => {
    const expected = CUT[`${receipt} ${JSON.stringify(asked)}`] ?? made
    const payload = makeOf(receipt, asked)
    if (expected === null) expect(payload).toBeUndefined()
    else expect(payload).toMatchObject(expected)
  })

  function makeOf(receipt: string, asked: Record<string, unknown>): ReceiptPayload | undefined {
    const ttlSeconds = Number(asked.ttl)
    if (receipt === 'started')
      return startedReceipt(of, { executorClass: 'always_on.test', isOrganic: true, ttlSeconds })
    if (receipt === 'accepted') return acceptedReceipt(of, { acceptedAt: NOW, ttlSeconds })
    return finishedReceipt(of, {
      startedAt: NOW,
      tookSeconds: Number(asked.time_took_seconds ?? 1),
      scoreSeconds: asked.score === 'nan' ? Number.NaN : Number(asked.score ?? 1),
      blockNumbers: (longValue(asked.allowance_blocks) as number[] | undefined) ?? [],
    })
  }

  it('have times with six digits, or none for a whole second, and Z', () => {
    const at = (now: number) => acceptedReceipt({ ...of, now }, { acceptedAt: now, ttlSeconds: 1 })
    expect(at(NOW + 5)).toMatchObject({
      timestamp: '2026-11-01T00:00:00.005000Z',
      time_accepted: '2026-11-01T00:00:00.005000Z',
    })
    expect(at(NOW)?.timestamp).toBe('2026-11-01T00:00:00Z')
    expect(at(Number.NaN)).toBeUndefined()
    expect(at(Date.parse('2100-01-01T00:00:00Z'))).toBeUndefined()
  })
  it('are not made for a uuid in upper case', () => {
    const upper = { ...of, jobUuid: common.job_uuid.toUpperCase() }
    expect(acceptedReceipt(upper, { acceptedAt: NOW, ttlSeconds: 1 })).toBeUndefined()
  })
})

it.each([
  [0, '0.000000'],
  [300, '300.000000'],
  [0.1, '0.100000'],
  [2.675, '2.675000'],
  [0.0078125, '0.007812'],
  [0.0234375, '0.023438'],
  [0.0000005, '0.000000'],
  [0.0000015, '0.000002'],
  [999999.9999996, '1000000.000000'],
  [1e16, '10000000000000000.000000'],
  [1e22, '10000000000000000000000.000000'],
  [5e-324, '0.000000'],
  [-0, undefined],
  [-1, undefined],
  [Number.NaN, undefined],
  [Number.POSITIVE_INFINITY, undefined],
])('scoreText(%d) is %s, as Python formats it', (score, text) => expect(scoreText(score)).toBe(text))

describe('lines of published receipts', () => {
  /** Cases whose lines depend on the reader's time: how many milliseconds the time of a good line lies ahead. */
  const AHEAD: Record<string, { field: string; type: Type; ahead: number }> = {
    'dated 59 min 50 s ahead of the reader': { field: 'timestamp', type: 'JobStartedReceipt', ahead: 3_590_000 },
    'dated 60 min 30 s ahead of the reader': { field: 'timestamp', type: 'JobStartedReceipt', ahead: 3_630_000 },
    'accepted: time_accepted two hours ahead (only timestamp is looked at)': {
      field: 'time_accepted',
      type: 'JobAcceptedReceipt',
      ahead: 7_200_000,
    },
  }
  const signatureAlone = (why: string | undefined) => /^Bad(Miner|Validator)ReceiptSignature$/.test(why ?? '')

  it('are 18 cases', () => expect(october.transfer_lines).toHaveLength(18))
  it.each(october.transfer_lines)('$name', ({ name, line, accepted, why }) => {
    const ahead = AHEAD[name]
    // Signatures are not looked at here.
    expect(parseReceiptLine(line ?? lineOf(ahead), NOW).ok).toBe(accepted || signatureAlone(why))
  })

  function lineOf(dated: { field: string; type: Type; ahead: number } | undefined): string {
    if (dated === undefined) return ''
    const time = new Date(NOW + dated.ahead).toISOString()
    const payload = { ...GOOD[dated.type], receipt_type: dated.type, [dated.field]: time }
    return JSON.stringify({ payload, validator_signature: 'v', miner_signature: 'm' })
  }
})

/** Values that are too long for the table. */
function longValue(value: unknown): unknown {
  const [, count, what] = /^(\d+) (numbers|times 9)$/.exec(String(value)) ?? []
  if (count === undefined) return value
  return what === 'numbers' ? Array(Number(count)).fill(7) : '9'.repeat(Number(count))
}
