import { expect, test } from 'vitest'
import { RequestError, withRetries } from './request.ts'

const NEVER = new AbortController().signal
const busy = () => new RequestError('busy', { retryable: true })

/** Attempts of which each ends with the next of these: an error, or a value. */
function attempts(ends: unknown[]) {
  const at: number[] = []
  const attempt = async () => {
    at.push(performance.now())
    const end = ends[at.length - 1]
    if (end instanceof Error) throw end
    return end
  }
  return { at, attempt }
}

test.each([
  [['good'], 'good', 1],
  [[busy(), 'good'], 'good', 2],
  [[busy(), busy(), 'good'], 'good', 3],
])('%j: %s after %d', async (ends, outcome, made) => {
  const { at, attempt } = attempts(ends)
  expect(await withRetries(3, 1, NEVER, attempt)).toBe(outcome)
  expect(at).toHaveLength(made)
})

test.each([
  [[busy(), busy(), busy(), 'good'], 'busy', 3],
  [[new RequestError('no', { retryable: false }), 'good'], 'no', 1],
  [[busy(), new Error('other'), 'good'], 'other', 2],
])('%j fails with %s after %d', async (ends, message, made) => {
  const { at, attempt } = attempts(ends)
  await expect(withRetries(3, 1, NEVER, attempt)).rejects.toThrow(message)
  expect(at).toHaveLength(made)
})

test('each pause is twice the one before', async () => {
  const { at, attempt } = attempts([busy(), busy(), 'good'])
  await withRetries(3, 40, NEVER, attempt)
  const [first = 0, second = 0, third = 0] = at
  // Timers may be a moment early, and any time late.
  expect(second - first).toBeGreaterThan(38)
  expect(third - second).toBeGreaterThan(78)
})

test('a pause ends when nobody waits any more', async () => {
  const stop = new AbortController()
  const { at, attempt } = attempts([busy(), 'good'])
  const outcome = withRetries(2, 60_000, stop.signal, attempt)
  setImmediate(() => stop.abort(new Error('enough')))
  await expect(outcome).rejects.toThrow('enough')
  expect(at).toHaveLength(1)
})
