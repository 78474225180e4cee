import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JobFailure } from '../job/job-failure.ts'
import { checkedFolder, checkedPath, parentsOf, pathBelow } from './volume-path.ts'

const ADVICE = 'give a relative path below /volume'
const LONG = 'x'.repeat(256)

/** A path of what paths are made of, good and bad. */
const path = fc
  .array(fc.oneof(fc.constantFrom('..', '.', '', '\\', '\0', 'C:', '~', ' ', '\n', '\ud800', LONG), fc.string()), {
    maxLength: 70,
  })
  .map(parts => parts.join('/'))

function outcomeOf(check: () => string): string {
  try {
    return check()
  } catch (error) {
    expect(error).toBeInstanceOf(JobFailure)
    return (error as Error).message
  }
}

test.each([
  [null, ''],
  ['', ''],
  ['.', ''],
  ['data', 'data'],
  ['data/', 'data'],
  ['./data//more/.', 'data/more'],
  ['...', '...'],
  ['ends. ', 'ends. '],
  ['größe/\n', 'größe/\n'],
  ['x'.repeat(255), 'x'.repeat(255)],
])('a volume for %j goes to %j', (folder, checked) => {
  expect(checkedFolder(folder)).toBe(checked)
})

describe.each([
  ['folder', checkedFolder],
  ['path', checkedPath],
])('refuses a %s', (what, check) => {
  test.each([
    ['/etc', 'is absolute'],
    ['//x', 'is absolute'],
    ['..', 'leads out of /volume by ".."'],
    ['a/../../b', 'leads out of /volume by ".."'],
    ['a/..', 'leads out of /volume by ".."'],
    ['a\\b', 'contains a backslash'],
    ['..\\up', 'contains a backslash'],
    ['a\0b', 'contains a zero byte'],
    ['a\ud800', 'is not valid Unicode'],
    [`a/${LONG}`, 'is too long or nested too deeply'],
    ['ü'.repeat(128), 'is too long or nested too deeply'],
    [Array(65).fill('a').join('/'), 'is too long or nested too deeply'],
    [Array(20).fill('x'.repeat(200)).join('/'), 'is too long or nested too deeply'],
  ])('%j', (text, problem) => {
    expect(outcomeOf(() => check(text))).toBe(`Its ${what} ${problem}; ${ADVICE}`)
  })
})

test.each(['', '.', './', 'a/', 'a/.'])('refuses %j as the path of a file', text => {
  expect(outcomeOf(() => checkedPath(text))).toBe('Its path names no file; give the name of the file, too')
})

test('refuses a folder that makes the paths in it too long', () => {
  const long = Array(60).fill('a').join('/')
  expect(pathBelow('', long)).toBe(long)
  expect(pathBelow('b', '')).toBe('b')
  expect(pathBelow('a/b', 'c/d')).toBe('a/b/c/d')
  expect(outcomeOf(() => pathBelow('a/b/c/d/e', long))).toBe(
    'A path in its folder is too long or nested too deeply; use a shorter folder',
  )
})

test('no path that is taken leads out of its folder, or is another path as well', () => {
  fc.assert(
    fc.property(path, path, (folder, file) => {
      let whole: string
      try {
        whole = pathBelow(checkedFolder(folder), checkedPath(file))
      } catch (error) {
        expect(error).toBeInstanceOf(JobFailure)
        return
      }
      const parts = whole.split('/')
      expect(parts).not.toContain('..')
      expect(parts).not.toContain('.')
      expect(parts).not.toContain('')
      expect(Buffer.from(whole).toString()).toBe(whole)
      expect(parentsOf(whole)).toHaveLength(parts.length - 1)
    }),
    { numRuns: 3_000 },
  )
})
