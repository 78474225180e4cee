import { expect, test } from 'vitest'
import { checkUrl, publicLookup, TargetError } from './targets.ts'

test.each([
  'http://127.1/',
  'http://0x7f000001/',
  'http://2130706433/',
  'http://[::1]:80/',
  'http://0/',
  'https://[fe80::1]/',
])('%s is refused by its form', url => {
  expect(() => checkUrl(url, false)).toThrow(TargetError)
  expect(checkUrl(url, true)).toBeInstanceOf(URL)
})

test('a name that means a private address is refused when it is looked up', async () => {
  const error = await new Promise(resolve => publicLookup('localhost', { all: true }, resolve))
  expect(error).toBeInstanceOf(TargetError)
})
