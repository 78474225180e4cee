import { expect, test } from 'vitest'
import { InputBudget } from './input-budget.ts'

const GIB = 1024 ** 3

test.each([
  ['the limit of one download', 5 * GIB, 0, { maxBytes: 2 * GIB, limit: 'download' }],
  ['what all volumes may have', 100, 0, { maxBytes: 100, limit: 'bytes' }],
  ['what is left of it', 5 * GIB, 4 * GIB, { maxBytes: GIB, limit: 'bytes' }],
  ['nothing', 100, 100, { maxBytes: 0, limit: 'bytes' }],
])('a download may have %s', (_, maxBytes, received, download) => {
  const budget = new InputBudget({ maxBytes, maxEntries: 1 })
  budget.addReceived(received)
  expect(budget.download).toEqual(download)
})

test('counts what comes and what is unpacked apart, and says which limit is exceeded', () => {
  const budget = new InputBudget({ maxBytes: 100, maxEntries: 3 })
  budget.addReceived(60)
  budget.addContents(90)
  budget.addEntries(2)
  expect(() => budget.addReceived(41)).toThrow(expect.objectContaining({ limit: 'bytes' }))
  expect(() => budget.addContents(11)).toThrow(expect.objectContaining({ limit: 'bytes' }))
  expect(() => budget.addEntries(2)).toThrow(expect.objectContaining({ limit: 'files' }))
  budget.addReceived(40)
  budget.addContents(10)
  budget.addEntries(1)
  expect([budget.bytesToReceive, budget.bytesLeft, budget.entriesLeft]).toEqual([0, 0, 0])
  expect(budget.describe('download')).toBe('one download may have 2147483648 bytes')
})
