import { expect, it } from 'vitest'
import type { JobRow } from '../db/schema.ts'
import { reportsUntilNow } from './validator-message.ts'

const AT = new Date(0)

it.each([
  ['accepted', {}, ['accept']],
  ['ready', { readyAt: AT }, ['accept', 'ready']],
  ['finished', { readyAt: AT }, ['accept', 'ready', 'volumes-ready', 'execution-done', 'finish']],
  ['broken', { readyAt: AT, reason: 'executor-exited' }, ['accept', 'ready', 'break']],
  // A miner that was killed before it had stored its acceptance.
  ['broken', { readyAt: null, reason: 'abandoned' }, ['break']],
  ['rejected', { reason: 'no-free-executor' }, ['decline']],
] as const)('a job that is %s, with %j, is reported as %j', (state, fields, reports) => {
  const row = { uuid: 'u', state, readyAt: null, reason: null, result: null, ...fields } as unknown as JobRow
  expect(reportsUntilNow(row, []).map(({ type }) => type)).toEqual(reports)
})
