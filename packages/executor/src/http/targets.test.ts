import type { LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { checkUrl, publicLookup, publicOnly, TargetError } from './targets.ts'

const INSIDE: LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
]
const OUTSIDE: LookupAddress[] = [
  { address: '8.8.8.8', family: 4 },
  { address: '2600::', family: 6 },
]

test.each([
  'http://127.1/',
  'http://0x7f000001/',
  'http://2130706433/',
  'http://[::1]:80/',
  'http://0/',
  'https://[fe80::1]/',
])('refuses %s by its form', url => {
  expect(() => checkUrl(url, false)).toThrow(TargetError)
  expect(checkUrl(url, true)).toBeInstanceOf(URL)
})

/** A resolver that returns these answers in turn, and the results of checked look-ups with it. */
function lookingUp(answers: LookupAddress[][]) {
  let asked = 0
  const lookup = publicOnly((_, __, callback) => callback(null, answers[asked++] ?? []))
  const found = (all: boolean) => {
    return new Promise<unknown>(resolve => lookup('name', { all }, (error, found) => resolve(error ?? found)))
  }
  return { lookup, found, asked: () => asked }
}

test('refuses a name with a private address when it is looked up', async () => {
  const error = await new Promise(resolve => publicLookup('localhost', { all: true }, resolve))
  expect(error).toBeInstanceOf(TargetError)
})

test('takes only the public addresses of a name that has both kinds', async () => {
  const mixed = [...INSIDE, ...OUTSIDE]
  const { found } = lookingUp([mixed, mixed, []])
  expect(await found(true)).toEqual(OUTSIDE)
  expect(await found(false)).toBe('8.8.8.8')
  expect(await found(true)).toBeInstanceOf(TargetError)
})

test('refuses a name that has a private address at the second look-up', async () => {
  const { found } = lookingUp([OUTSIDE, INSIDE])
  expect(await found(true)).toEqual(OUTSIDE)
  expect(await found(true)).toBeInstanceOf(TargetError)
})

test('looks a name up once, and connects to the checked address', async () => {
  const { lookup, asked } = lookingUp([INSIDE, OUTSIDE])
  const [error] = await once(connect({ host: 'name', port: 1, lookup }), 'error').catch(error => [error])
  expect(error).toBeInstanceOf(TargetError)
  expect(asked()).toBe(1)
})
