import { describe, expect, it } from 'vitest'
import { parseReceiptLine } from '../../src/v2026/receipts/receipt-line.ts'
import { PARSERS, plain, readVectors, sentOn } from './vectors.ts'

type Frame = { link: number; from: string; message_type: string | null; form: string; frame: string }
type Case = { direction: string; name: string; input: string; accepted: boolean; read_as?: string }

const DIRECTIONS: Record<string, readonly [number, string]> = {
  'V>M': [1, 'V'],
  'M>V': [1, 'M'],
  'M>E': [2, 'M'],
  'E>M': [2, 'E'],
  'V>F': [3, 'V'],
  'F>V job': [3, 'F'],
  'F>V response': [3, 'F'],
  'F>V cheated': [3, 'F'],
}

/** What our messages have beside the fields that peers of January 2026 know. */
function ours(link: number, from: string, message: object): object {
  const type = 'message_type' in message ? String(message.message_type) : ''
  const isSignable = link === 1 && from === 'V' && ['V0InitialJobRequest', 'V0JobRequest'].includes(type)
  return isSignable ? { validator_signature: null, ...message } : message
}

describe('frames as v2026 peers write them', () => {
  const { frames } = readVectors<{ frames: Frame[] }>('frames.json')
  it('are 78', () => expect(frames).toHaveLength(78))
  it.each(frames)('link $link, $from: $message_type, $form', ({ link, from, frame }) => {
    const parsed = PARSERS[link]?.[from]?.(frame)
    if (parsed?.ok !== true) throw parsed?.error
    expect(sentOn(parsed.message)).toEqual(ours(link, from, plain(frame) as object))
    expect(PARSERS[link]?.[from]?.(JSON.stringify(sentOn(parsed.message))).ok, 'it can be sent on').toBe(true)
  })
})

describe('what v2026 peers take and refuse', () => {
  const { cases } = readVectors<{ cases: Case[] }>('parse.json')
  /** Fields that we read and v2026 peers drop. */
  const ADDED: Record<string, object> = { 'both dialects in one frame': { capabilities: ['manifest'] } }

  it('are 68 cases', () => expect(cases).toHaveLength(68))
  it.each(cases)('$direction $name', ({ direction, name, input, accepted, read_as }) => {
    const [link, from] = DIRECTIONS[direction] ?? [0, '']
    const parsed = direction === 'page line' ? parseReceiptLine(input, 0) : PARSERS[link]?.[from]?.(input)
    expect(parsed?.ok).toBe(accepted)
    if (parsed?.ok !== true || !('message' in parsed)) return
    const expected = { ...ours(link, from, plain(read_as ?? '') as object), ...ADDED[name] }
    expect(sentOn(parsed.message)).toEqual(expected)
  })
})

describe('messages of miners since October 2026', () => {
  const { miner_messages } = readVectors<{ miner_messages: Omit<Case, 'direction'>[] }>('october.json')
  it.each(miner_messages)('$name', ({ input, accepted, read_as }) => {
    const parsed = PARSERS[1]?.M?.(input)
    expect(parsed?.ok).toBe(accepted)
    if (parsed?.ok) expect(sentOn(parsed.message)).toEqual(plain(read_as ?? ''))
  })
})

describe('paths of uploads', () => {
  type Path = { relative_path: string; accepted: boolean }
  const { relative_paths } = readVectors<{ relative_paths: { cases: Path[] } }>('october.json')
  const job = { job_uuid: 'b4793a02-33a2-4a49-b4e2-4a7b903847e7', executor_class: 'always_on.test', docker_image: 'a' }
  const work = { message_type: 'V0JobRequest', ...job, docker_run_options_preset: 'none', docker_run_cmd: [] }
  const limits = {
    download_time_limit: 1,
    execution_time_limit: 1,
    upload_time_limit: 1,
    streaming_start_time_limit: 1,
  }
  const user = { executor_class: 'always_on.test', docker_image: 'a', args: [], env: {}, ...limits }
  const asked = { message_type: 'V2JobRequest', uuid: 'u', ...user }

  it('are 33', () => expect(relative_paths.cases).toHaveLength(33))
  it.each(relative_paths.cases)('$relative_path', ({ relative_path, accepted }) => {
    const path = longText(relative_path)
    const put = { output_upload_type: 'single_file_put', url: 'u', relative_path: path }
    const post = { ...put, output_upload_type: 'single_file_post' }
    const uploads = [put, post].flatMap(upload => [upload, { output_upload_type: 'multi_upload', uploads: [upload] }])
    for (const output_upload of uploads) {
      const outcomes = [
        PARSERS[1]?.V?.(JSON.stringify({ ...work, output_upload })),
        PARSERS[2]?.M?.(JSON.stringify({ ...work, output_upload })),
        PARSERS[3]?.F?.(JSON.stringify({ ...asked, output_upload })),
      ]
      expect(outcomes.map(outcome => outcome?.ok)).toEqual([accepted, accepted, accepted])
    }
  })
  it.each(['../a', '/a', 'a//b'])('of volumes are not checked: %s', relative_path => {
    const volume = { volume_type: 'single_file', url: 'u', relative_path }
    expect(PARSERS[1]?.V?.(JSON.stringify({ ...work, volume })).ok).toBe(true)
  })
})

/** `3 times a` stands for aaa, `2 times a, joined by /` for a/a. */
function longText(text: string): string {
  const [, count, character = '', joined] = /^(\d+) times (.)(, joined by \/)?$/.exec(text) ?? []
  return count === undefined
    ? text
    : Array(Number(count))
        .fill(character)
        .join(joined ? '/' : '')
}
