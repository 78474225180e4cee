import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bigintOf, plainOf } from './plain.ts'
import { JsonNumber, readJson } from './read-json.ts'

const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`

describe('readJson', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(0, 1), (json, spaces) => {
        const text = JSON.stringify(JSON.parse(json), null, spaces)
        expect(JSON.stringify(plainOf(readJson(text)))).toBe(JSON.stringify(JSON.parse(text)))
      }),
    )
  })
  it('refuses what JSON.parse refuses', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]:,"\\1-.e+ \ttrue') }), text => {
        const reads = (read: () => unknown) => {
          try {
            read()
            return true
          } catch {
            return false
          }
        }
        expect(reads(() => readJson(text))).toBe(reads(() => JSON.parse(text)))
      }),
      { numRuns: 2000 },
    )
  })
  it.each(['{"a":1', '"', '"\\"', '"\u0001"', '01', '1.', '.5', '+1', '\ufeff{}', 'nul', '-', '', '{a:1}', "{'a':1}"])(
    'refuses %j',
    text => expect(() => readJson(text)).toThrow(SyntaxError),
  )
  it.each(['NaN', 'Infinity', '-Infinity'])('takes %s, as Python does', text => {
    expect(readJson(`[${text}]`)).toEqual([new JsonNumber(text)])
  })
  it('keeps the order of keys, and the last value of a key that comes twice', () => {
    const object = readJson('{"b":"1","10":"2","9":"3","b":"4","__proto__":"5"}')
    expect([...(object as Map<string, unknown>)]).toEqual([
      ['b', '4'],
      ['10', '2'],
      ['9', '3'],
      ['__proto__', '5'],
    ])
  })
  it('keeps numbers as they are written', () => {
    const numbers = ['0', '-0', '-0.0', '1.0', '1E-7', '12345678901234567890', '1e400']
    expect(readJson(`[${numbers}]`)).toEqual(numbers.map(number => new JsonNumber(number)))
  })
  it('reads 992 arrays in an object, as the library of October 2026 does, and refuses more', () => {
    expect(() => readJson(`{"a":${nested(992)}}`)).not.toThrow()
    expect(() => readJson(`{"a":${nested(993)}}`)).toThrow(SyntaxError)
    expect(() => readJson(nested(1_000_000))).toThrow(SyntaxError)
  })
  it('reads 4,300 digits, with a sign or without, and refuses more', () => {
    for (const sign of ['', '-']) {
      expect(() => readJson(`${sign}${'9'.repeat(4300)}`)).not.toThrow()
      expect(() => readJson(`${sign}${'9'.repeat(4301)}`)).toThrow(SyntaxError)
    }
  })
  it('takes time that grows with the length alone', () => {
    const frame = `{"a":"${'\\\\'.repeat(1_000_000)}","b":"${'\\"'.repeat(1_000_000)}"}`
    expect(readJson(frame)).toEqual(new Map(Object.entries(JSON.parse(frame))))
  })
})

describe('plainOf', () => {
  it('keeps the digits of whole numbers beyond 2^53', () => {
    const plain = plainOf(readJson('{"a":[12345678901234567890,-9007199254740993,9007199254740991]}'))
    expect(JSON.stringify(plain)).toBe('{"a":[12345678901234567890,-9007199254740993,9007199254740991]}')
  })
  it('makes own properties of names of the prototype', () => {
    expect(Object.keys(plainOf(readJson('{"__proto__":{"a":1}}')) as object)).toEqual(['__proto__'])
  })
})

it.each([
  [1, 1n],
  [-0, 0n],
  [1e20, 100000000000000000000n],
  [JSON.rawJSON('12345678901234567890'), 12345678901234567890n],
  [1.5, undefined],
  [Number.NaN, undefined],
  ['1', undefined],
  [{ rawJSON: '1' }, undefined],
])('bigintOf(%o) is %s', (value, whole) => expect(bigintOf(value)).toBe(whole))
