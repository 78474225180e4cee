import { createLog } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import { expect, test } from 'vitest'
import { SkippedPauses } from '../../test/http/skipped-pauses.ts'
import { RequestError } from './request.ts'
import { retryAfter, withRetries } from './retry.ts'

const NEVER = new AbortController().signal
const NOW = Date.parse('2026-05-01T12:00:00Z')
const LATER = 'Fri, 01 May 2026 12:00:30 GMT'

const busy = (retryAfterMs?: number) => new RequestError('busy', { retryable: true, status: 503, retryAfterMs })

/** Attempts that end with these errors or values in turn; the last one repeats. */
function attempts(ends: unknown[]) {
  let made = 0
  const attempt = async () => {
    const end = ends[Math.min(made++, ends.length - 1)]
    if (end instanceof Error) throw end
    return end
  }
  return { attempt, made: () => made }
}

test('tries again until an attempt succeeds', async () => {
  const { attempt, made } = attempts([...Array.from({ length: 9 }, () => busy()), 'good'])
  expect(await withRetries('upload', new SkippedPauses(1_000_000), NEVER, attempt)).toBe('good')
  expect(made()).toBe(10)
})

test('pauses longer each time up to 15 s, with jitter', async () => {
  const deps = new SkippedPauses(1_000_000)
  await withRetries('upload', deps, NEVER, attempts([...Array.from({ length: 8 }, () => busy()), 'good']).attempt)
  for (const [at, least] of [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000].entries()) {
    expect(deps.pauses[at]).toBeGreaterThanOrEqual(least)
    expect(deps.pauses[at]).toBeLessThanOrEqual(least + 500)
  }
  expect(new Set(deps.pauses.map(ms => ms % 500)).size).toBe(8)
})

test.each([
  ['a final error', [new RequestError('no', { retryable: false }), 'good'], 'no', 1],
  ['an error of another kind', [busy(), new Error('other'), 'good'], 'other', 2],
  ['a stage without time for the next pause', [busy()], 'busy', 3],
  ['a server that wants more time than there is', [busy(3_600_000), 'good'], 'busy', 1],
])('gives up at once on %s', async (_, ends, message, times) => {
  const { attempt, made } = attempts(ends)
  await expect(withRetries('upload', new SkippedPauses(3_000), NEVER, attempt)).rejects.toThrow(message)
  expect(made()).toBe(times)
})

test('starts with the shortest pause again after an attempt that made progress', async () => {
  const deps = new SkippedPauses(1_000_000)
  let bytes = 0
  const { attempt } = attempts([busy(), busy(), busy(), busy(), 'good'])
  const going = async () => {
    bytes += deps.pauses.length === 2 ? 1 : 0
    return attempt()
  }
  await withRetries('download', deps, NEVER, going, () => bytes)
  expect(deps.pauses.map(ms => Math.floor(ms / 500) * 500)).toEqual([500, 1_000, 500, 1_000])
})

test('waits at least as long as the server asks', async () => {
  const deps = new SkippedPauses()
  await withRetries('upload', deps, NEVER, attempts([busy(7_000), busy(1), 'good']).attempt)
  expect(deps.pauses[0]).toBeGreaterThanOrEqual(7_000)
  expect(deps.pauses[1]).toBeGreaterThanOrEqual(1_000)
})

test('logs each failure, its status and its pause at info', async () => {
  const deps = new SkippedPauses(1_200)
  await withRetries('upload', deps, NEVER, attempts([busy()]).attempt).catch(() => {})
  const logged = deps.lines.map(({ level, msg, status, tries, pauseMs }) => [level, msg, status, tries, typeof pauseMs])
  expect(logged).toEqual([
    ['info', 'the upload failed and is tried again', 503, 1, 'number'],
    ['info', 'the upload failed', 503, 2, 'undefined'],
  ])
})

test('ends a pause when the stage is aborted', async () => {
  const stop = new AbortController()
  const { attempt, made } = attempts([busy(), 'good'])
  const deps = { clock: manualClock(), msLeft: () => 60_000, log: createLog('test', { level: 'silent' }) }
  const outcome = withRetries('upload', deps, stop.signal, attempt)
  await deps.clock.whenSleeping()
  stop.abort(new Error('enough'))
  await expect(outcome).rejects.toThrow('enough')
  expect(made()).toBe(1)
})

test.each([
  [{}, undefined],
  [{ 'retry-after': '120' }, 120_000],
  [{ 'retry-after': ' 0 ' }, 0],
  [{ 'retry-after': LATER }, 30_000],
  [{ 'retry-after': 'Friday, 01-May-26 12:00:30 GMT' }, 30_000],
  [{ 'retry-after': LATER, date: 'Fri, 01 May 2026 12:00:20 GMT' }, 10_000],
  [{ 'retry-after': LATER, date: 'Fri, 01 May 2026 13:00:00 GMT' }, 0],
  [{ 'retry-after': 'soon' }, undefined],
  [{ 'retry-after': '' }, undefined],
  [{ 'retry-after': '-5' }, undefined],
  [{ 'retry-after': '1.5' }, undefined],
  [{ 'retry-after': '9'.repeat(400) }, Number.POSITIVE_INFINITY],
])('reads Retry-After in %j as %s ms', (headers, ms) => {
  expect(retryAfter(headers, NOW)).toBe(ms)
})
