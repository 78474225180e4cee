import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shellPattern } from './shell-pattern.ts'

/** As Python's fnmatch.fnmatchcase says. */
test.each([
  ['*.json', 'config.json', true],
  ['*.json', 'data/config.json', true],
  ['*.json', 'config.json.bak', false],
  ['config.*', 'Config.json', false],
  ['data/', 'data/a/b', true],
  ['data/', 'data', false],
  ['data', 'data/a', false],
  ['*', '', true],
  ['', '', true],
  ['', 'a', false],
  ['?.bin', 'a.bin', true],
  ['?.bin', '.bin', false],
  ['?', '😀', true],
  ['[ab].bin', 'b.bin', true],
  ['[!ab].bin', 'b.bin', false],
  ['[!ab].bin', 'c.bin', true],
  ['[a-c]', 'b', true],
  ['[c-a]', 'b', false],
  ['[a-]', '-', true],
  ['[-a]', '-', true],
  ['[]a]', ']', true],
  ['[!]a]', ']', false],
  ['[!]', '[!]', true],
  ['[', '[', true],
  ['[a', '[a', true],
  ['[^a]', '^', true],
  ['[.]', 'x', false],
  ['a*b*c', 'a-b-b-c', true],
  ['a*b*c', 'a-c-b', false],
  ['**/x', 'x', false],
  ['**/x', 'a/b/x', true],
  ['(a|b)+', 'a', false],
  ['\n*', '\nx', true],
])('%j matches %j: %s', (pattern, name, isMatch) => {
  expect(shellPattern(pattern)(name)).toBe(isMatch)
})

test('matches what a regular expression for the same pattern matches', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: 12 })
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '*', '?'), maxLength: 8 })
  fc.assert(
    fc.property(pattern, text, (pattern, name) => {
      const whole = pattern.endsWith('/') ? `${pattern}*` : pattern
      const source = whole.replaceAll('.', '\\.').replaceAll('?', '.').replaceAll('*', '.*')
      expect(shellPattern(pattern)(name)).toBe(new RegExp(`^${source}$`, 's').test(name))
    }),
    { numRuns: 2_000 },
  )
})

test('no pattern takes long', () => {
  const started = performance.now()
  expect(shellPattern(`${'*a'.repeat(500)}b`)('a'.repeat(3_000))).toBe(false)
  // A backtracking matcher would take longer than the universe has existed.
  expect(performance.now() - started).toBeLessThan(60_000)
})
