import { once } from 'node:events'
import { expect, test } from 'vitest'
import { JobFailure, withinDeadline } from './job-failure.ts'

const NEVER = new AbortController().signal
const LONG_MS = 60_000

/** Rejects one turn of the event loop after the abort, like a stage that closes its files first. */
async function untilAborted(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort')
  await new Promise(setImmediate)
  throw signal.reason
}

test('returns the outcome of a stage that ends in time', async () => {
  expect(await withinDeadline('It was not there', LONG_MS, NEVER, async () => 'there')).toBe('there')
  const failure = new Error('failure')
  await expect(withinDeadline('It was not there', LONG_MS, NEVER, () => Promise.reject(failure))).rejects.toBe(failure)
})

test('aborts a stage at its deadline and fails with the sentence', async () => {
  let closed = false
  const outcome = withinDeadline('It was not there', 20, NEVER, signal => {
    return untilAborted(signal).finally(() => {
      closed = true
    })
  })
  await expect(outcome).rejects.toEqual(new JobFailure('It was not there within 0.02 seconds'))
  expect(closed).toBe(true)
})

test('rejects with the reason of a stop from outside, not with the deadline', async () => {
  const stop = new AbortController()
  const outcome = withinDeadline('It was not there', LONG_MS, stop.signal, untilAborted)
  stop.abort(new Error('enough'))
  await expect(outcome).rejects.toThrow('enough')
})

test.each([
  ['the deadline', 20, NEVER, 'It was not there within 0.02 seconds'],
  ['a stop', LONG_MS, AbortSignal.timeout(20), 'The operation was aborted due to timeout'],
])('abandons a stage that ignores its signal after %s', async (_, ms, signal, message) => {
  const stage = () => new Promise<never>(() => {})
  await expect(withinDeadline('It was not there', ms, signal, stage, 10)).rejects.toThrow(message)
})
