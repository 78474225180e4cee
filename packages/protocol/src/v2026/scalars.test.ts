import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { flag, listOf, text, textMap, whole, wholeBigint, wholeFrom } from './scalars.ts'
import { DECLINE_REASONS, wordOf, wordOrUnknown } from './words.ts'

const readBy = (schema: z.ZodType, value: unknown) => {
  const { success, data } = schema.safeParse(value)
  return success ? data : 'refused'
}

it.each([
  [12, 12],
  [12.0, 12],
  ['12', 12],
  [' +12 ', 12],
  ['12.0', 12],
  ['1_000', 1000],
  ['-0', 0],
  [1e2, 100],
  [true, 1],
  [12.5, 'refused'],
  ['12.5', 'refused'],
  ['12.', 'refused'],
  ['', 'refused'],
  ['1e2', 'refused'],
  ['_1', 'refused'],
  [null, 'refused'],
  [undefined, 'refused'],
  [Number.NaN, 'refused'],
  [Number.POSITIVE_INFINITY, 'refused'],
  [JSON.rawJSON('9007199254740993'), 'refused'],
  ['9'.repeat(5000), 'refused'],
])('whole reads %j as %j', (value, read) => expect(readBy(whole, value)).toBe(read))

it.each([
  [JSON.rawJSON('1700000000123456789'), 1700000000123456789n],
  ['1700000000123456789', 1700000000123456789n],
  [5, 5n],
  [5.5, 'refused'],
])('wholeBigint keeps the digits of %j', (value, read) => expect(readBy(wholeBigint, value)).toBe(read))

it('wholeFrom says its bounds', () => {
  expect([0, 1, 5, 6].map(value => readBy(wholeFrom(1, 5), value))).toEqual(['refused', 1, 5, 'refused'])
  expect(wholeFrom(1, 5).safeParse(6).error?.issues).toMatchObject([{ message: 'must be from 1 to 5' }])
})

it.each([
  [true, true],
  [false, false],
  [1, true],
  [0, false],
  ['Yes', true],
  ['off', false],
  [2, 'refused'],
  ['', 'refused'],
  [null, 'refused'],
])('flag reads %j as %j', (value, read) => expect(readBy(flag, value)).toBe(read))

describe('words', () => {
  it.each(['tired', null, 7, {}, [], ''])('%j reads as unknown', value => {
    expect(readBy(wordOf(DECLINE_REASONS), value)).toBe('unknown')
    expect(readBy(wordOrUnknown(DECLINE_REASONS), value)).toBe('unknown')
  })
  it('read as they are', () => expect(readBy(wordOf(DECLINE_REASONS), 'busy')).toBe('busy'))
  it('are missing only where they are required', () => {
    const fields = z.object({ required: wordOf(DECLINE_REASONS), other: wordOrUnknown(DECLINE_REASONS) })
    expect(readBy(fields, { required: 'busy' })).toEqual({ required: 'busy', other: 'unknown' })
    expect(fields.safeParse({}).error?.issues).toMatchObject([{ path: ['required'], message: 'is missing' }])
  })
})

it('listOf reports the first wrong entry, and where it is', () => {
  const schema = z.object({ list: listOf(z.object({ a: text, b: textMap })) })
  const list = [{ a: '', b: {} }, { a: '', b: { c: 1 } }, { a: 1 }]
  expect(schema.safeParse({ list }).error?.issues).toMatchObject([{ path: ['list', 1, 'b'] }])
})
