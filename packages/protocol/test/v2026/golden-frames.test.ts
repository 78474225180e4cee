import { describe, expect, it } from 'vitest'
import { plainOf } from '../../src/json/plain.ts'
import { type JsonObject, type JsonValue, readJson } from '../../src/json/read-json.ts'
import { SORTED, writeJson } from '../../src/json/write-json.ts'
import { PARSERS, readText, sentOn } from './vectors.ts'

/** The facilitator's response is the only message without `message_type`. */
const UNTYPED = 'Response'

const EXECUTOR_REPORTS = [
  'V0ExecutorReadyRequest',
  'V0VolumesReadyRequest',
  'V0StreamingJobReadyRequest',
  'V0ExecutionDoneRequest',
  'V0MachineSpecsRequest',
  'V0JobFinishedRequest',
  'V0JobFailedRequest',
  'V0HordeFailedRequest',
  'V0ExecutorFailedRequest',
  'V0StreamingJobNotReadyRequest',
  'GenericError',
]

/** Every message by link and speaker, as docs/protocol.md lists them. */
const SPEAKERS: [link: number, letter: string, file: string, speaker: string, messages: string[]][] = [
  [
    1,
    'V',
    'validator-miner',
    'validator',
    [
      'ValidatorAuthForMiner',
      'V0InitialJobRequest',
      'V0JobRequest',
      'V0JobAcceptedReceiptRequest',
      'V0JobFinishedReceiptRequest',
      'V0MainHotkeyMessage',
      'GenericError',
    ],
  ],
  [
    1,
    'M',
    'validator-miner',
    'miner',
    [
      'V0ExecutorManifestRequest',
      'V0AcceptJobRequest',
      'V0DeclineJobRequest',
      ...EXECUTOR_REPORTS,
      'V0MainHotkeyMessage',
      'UnauthorizedError',
    ],
  ],
  [2, 'M', 'miner-executor', 'miner', ['V0InitialJobRequest', 'V0JobRequest', 'GenericError']],
  [2, 'E', 'miner-executor', 'executor', EXECUTOR_REPORTS],
  [3, 'F', 'facilitator-validator', 'facilitator', ['V2JobRequest', 'V0JobCheated', UNTYPED]],
  [
    3,
    'V',
    'facilitator-validator',
    'validator',
    ['V0AuthenticationRequest', 'V0JobStatusUpdate', 'V0MachineSpecsUpdate', 'V0Heartbeat'],
  ],
]

describe.each(SPEAKERS)('link %i, %s: %s, messages of the %s', (link, letter, file, speaker, messages) => {
  const parse = PARSERS[link]?.[letter]
  if (parse === undefined) throw new Error('no such parser')
  const golden = objectOf(objectOf(readJson(readText(`golden-${file}.json`))).get(speaker))

  it('have golden frames each, and there are no others', () => {
    expect([...golden.keys()].sort()).toEqual(messages.toSorted())
  })
  it('have a schema each, and there are no others', () => {
    expect(parse.messageTypes.toSorted()).toEqual(messages.filter(type => type !== UNTYPED).sort())
  })
  it.each([...golden].flatMap(([type, examples]) => goldenFrames(type, examples)))('%s, %s', (_, __, frame, reads) => {
    for (const written of [frame, spaced(frame)]) {
      const parsed = parse(written)
      if (!parsed.ok) throw parsed.error
      expect(sentOn(parsed.message)).toEqual(plainOf(reads))
      const again = parse(JSON.stringify(sentOn(parsed.message)))
      if (!again.ok) throw again.error
      expect(again.message, 'a parsed message can be sent on').toEqual(parsed.message)
    }
  })
})

function goldenFrames(type: string, examples: JsonValue): [string, string, string, JsonValue][] {
  if (!Array.isArray(examples)) throw new Error('a message has a list of golden frames')
  return examples.map(objectOf).map(example => {
    const frame = example.get('frame') ?? null
    return [type, String(example.get('shows')), writeJson(frame, COMPACT), example.get('reads') ?? frame]
  })
}

/** As v2026 peers write on links 1 and 2. */
const COMPACT = { comma: ',', colon: ':', sorted: false, ascii: false } as const

/** As the v2026 facilitator writes: spaces, and everything beyond ASCII escaped. The order of keys does not matter. */
function spaced(frame: string): string {
  return writeJson(readJson(frame), SORTED)
}

function objectOf(value: JsonValue | undefined): JsonObject {
  if (!(value instanceof Map)) throw new Error('not an object')
  return value
}
