import { MAX_VALUES } from '@horde/protocol/json/value-count'
import { expect, it } from 'vitest'
import { readFacilitatorFrame } from './facilitator-frame.ts'

const UUID = '5f3b3c1e-8f0b-4d0a-9f53-0c4dbd4d4a11'
const values = Array(MAX_VALUES + 1)
  .fill('[]')
  .join(',')

it.each([
  ['v2026', 'V2JobRequest'],
  ['v0', 'V0JobRequest'],
])('names the job of a frame of %s with too many values without parsing it', (dialect, type) => {
  // The frame has no end: who parses it finds no JSON.
  const frame = `{"message_type":"${type}","uuid": "${UUID}","args":[${values}`
  expect(readFacilitatorFrame(frame)).toMatchObject({ type: 'invalid', dialect, uuid: UUID })
  expect(readFacilitatorFrame(`{"message_type":"${type}","args":[${values}]}`)).toMatchObject({ uuid: undefined })
})
