import { expect, it } from 'vitest'
import { capabilitiesIn } from './capabilities.ts'

it.each([
  [undefined, []],
  ['', []],
  ['large-frames', ['large-frames']],
  [' Large-Frames ,, 2026', ['large-frames', '2026']],
  [
    ['a', 'b,c'],
    ['a', 'b', 'c'],
  ],
])('reads the capabilities in %j', (header, capabilities) => {
  expect(capabilitiesIn(header)).toEqual(capabilities)
})
