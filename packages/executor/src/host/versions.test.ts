import { expect, test } from 'vitest'
import { compareVersions, isFixed, parseVersion } from './versions.ts'

test.each([
  ['5.10.97', [5, 10, 97], undefined, ''],
  ['6.1.0-18-amd64', [6, 1, 0], undefined, '-18-amd64'],
  ['5.17.0-rc3', [5, 17, 0], 3, ''],
  ['1.0.0~rc93+ds1-5+deb11u3', [1, 0, 0], 93, '+ds1-5+deb11u3'],
  ['1.4.0-rc.3', [1, 4, 0], 3, ''],
  ['v1.1.12-0-g51d5e94', [1, 1, 12], undefined, '-0-g51d5e94'],
  ['1.1.5+ds1-1+deb12u1', [1, 1, 5], undefined, '+ds1-1+deb12u1'],
  ['1.41', [1, 41], undefined, ''],
])('parses %s', (text, numbers, candidate, rest) => {
  expect(parseVersion(text)).toEqual({ numbers, candidate, rest })
})

test.each(['', 'unknown', '4bccb38cc9cf198d52bebf2b3a90cd14e7af8c06', '12'])('does not parse %j', text => {
  expect(parseVersion(text)).toBeUndefined()
})

test('orders versions by their release', () => {
  const inOrder = [
    '1.0.0-rc6',
    '1.0.0-rc93',
    '1.0.0',
    '1.0.1',
    '1.1',
    '1.1.5+ds1-1',
    '1.1.12',
    '1.4.0-rc.1',
    '1.4.0-rc.2',
    '1.10',
  ]
  const sorted = inOrder.toReversed().sort((a, b) => {
    const [left, right] = [parseVersion(a), parseVersion(b)]
    return left && right ? compareVersions(left, right) : 0
  })
  expect(sorted).toEqual(inOrder)
})

test.each([
  ['5.17', true],
  ['5.17-rc1', false],
  ['6.18.44-fc-v595', true],
  ['5.16.6', true],
  ['5.16.5', false],
  ['5.15.20', true],
  ['5.15.0-91-generic', false],
  ['5.14.21-150400.22', false],
  ['5.10.97', true],
  ['5.10.96', false],
  ['3.10.0-1160.el7', false],
])('a fix in three branches is in %s: %s', (text, isIn) => {
  const version = parseVersion(text)
  expect(version && isFixed(version, ['5.17', '5.16.6', '5.15.20', '5.10.97'])).toBe(isIn)
})
