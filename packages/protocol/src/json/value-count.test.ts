import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseFromMiner as parseV0 } from '../v0/validator-miner.ts'
import { parseFromMiner as parseV2026 } from '../v2026/validator-miner.ts'
import { hasMoreValues, MAX_VALUES } from './value-count.ts'

/** Counts the values of what was parsed: itself, and those in it. An empty array or object counts as one more. */
function valuesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1
  const inside = Object.values(value)
  return inside.length === 0 ? 2 : inside.reduce<number>((sum, each) => sum + valuesIn(each), 1)
}

it('counts all values of a frame, and nothing in its texts', () => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom(undefined, 1), (json, spaces) => {
      const text = JSON.stringify([JSON.parse(json)], null, spaces)
      const count = valuesIn(JSON.parse(text))
      expect(hasMoreValues(text, count)).toBe(false)
      expect(hasMoreValues(text, count - 1)).toBe(text.length > count - 1)
    }),
  )
})

it.each(['"', '{"a', '["\\"', '["\\\\"'])('ends at a text that does not end: %s', text => {
  expect(hasMoreValues(text.padEnd(9), 8)).toBe(false)
})

const ofValues = (type: string, count: number) =>
  `{"message_type":"${type}","job_uuid":"${crypto.randomUUID()}","x":[${Array(count).fill('{}')}]}`

it.each([
  ['v0', parseV0],
  ['v2026', parseV2026],
] as const)('a frame of %s with too many values is refused before it is parsed', (_, parse) => {
  const accept = 'V0AcceptJobRequest'
  expect(parse(ofValues(accept, MAX_VALUES / 2 - 10))).toMatchObject({ ok: true })
  const refused = parse(ofValues(accept, MAX_VALUES))
  expect(refused).toMatchObject({ ok: false, error: { message: 'the frame holds more than 50000 values' } })
})
