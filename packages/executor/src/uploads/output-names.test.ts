import { expect, test } from 'vitest'
import { OutputNames } from './output-names.ts'

test.each([
  [
    ['a', 'b/c', 'b/d'],
    ['a', 'b/c', 'b/d'],
  ],
  [
    ['a\\b', 'a_b', 'a/b'],
    ['a_b', 'a_b~2', 'a/b'],
  ],
  [
    ['C:x', 'C_x', 'deep/C:x'],
    ['C_x', 'C_x~2', 'deep/C:x'],
  ],
  [
    ['C:/x', 'C_/x', 'C:/y', 'C_/y'],
    ['C_/x', 'C_~2/x', 'C_/y', 'C_~2/y'],
  ],
  [
    ['a\\b/x', 'a_b'],
    ['a_b/x', 'a_b~2'],
  ],
  [
    ['a_b', 'a\\b/x'],
    ['a_b', 'a_b~2/x'],
  ],
  [
    ['stdout.txt/x', 'stderr.txt/y'],
    ['stdout.txt~2/x', 'stderr.txt~2/y'],
  ],
  [
    ['\ufffd', '\ufffd', '\ufffd'],
    ['\ufffd', '\ufffd~2', '\ufffd~3'],
  ],
  [
    ['..\\..\\up', '\\\\host\\share'],
    ['.._.._up', '__host_share'],
  ],
  [
    ['a~2', 'a', 'a'],
    ['a~2', 'a', 'a~3'],
  ],
])('turns %j into %j', (paths, names) => {
  const given = new OutputNames()
  expect(paths.map(path => given.next(path))).toEqual(names)
})

test('takes a thousand nested folders', () => {
  const path = `${'d/'.repeat(1_000)}f`
  expect(new OutputNames().next(path)).toBe(path)
})
