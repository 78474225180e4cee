import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseDatabaseUrl } from './url.ts'

test('shows a Postgres URL without its password', () => {
  const url = 'postgresql://horde:p%40ss@db.example:5433/horde?sslmode=disable'
  expect(parseDatabaseUrl(url)).toEqual({ dialect: 'postgres', url, shown: 'horde@db.example:5433/horde' })
  expect(parseDatabaseUrl('postgres://db/horde')).toMatchObject({ shown: 'db/horde' })
})

test.each([
  ['pglite://memory', undefined],
  ['pglite://./memory', './memory'],
  ['pglite://data/miner', 'data/miner'],
  ['pglite:///var/lib/horde', '/var/lib/horde'],
  ['pglite://with space', 'with space'],
])('parses %s', (url, folder) => {
  expect(parseDatabaseUrl(url)).toEqual({ dialect: 'pglite', folder })
})

test('shows no part of a password, escaped or not', () => {
  const password = fc.string({ unit: fc.constantFrom(...'Zq#?/@:%4 []'), minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(password, rest => {
      const secret = `Zq7${rest}`
      const target = parseDatabaseUrl(`postgres://user:${secret}@host/db`)
      const text = 'problem' in target ? target.problem : 'shown' in target ? target.shown : ''
      expect(text).not.toContain('Zq7')
      expect(parseDatabaseUrl(`postgres://user:${encodeURIComponent(secret)}@host/db`)).toMatchObject({
        shown: 'user@host/db',
      })
    }),
    { numRuns: 2_000 },
  )
})
