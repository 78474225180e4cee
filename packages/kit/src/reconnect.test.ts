import { expect, test } from 'vitest'
import { silentLog } from './log.ts'
import { backoff, type KeepConnectedOptions, keepConnected } from './reconnect.ts'
import { manualClock } from './time.ts'

function take(count: number, delays: Generator<number>): number[] {
  return Array.from({ length: count }, () => delays.next().value)
}

/** A connection to nothing that records that it was closed. */
class Line implements AsyncDisposable {
  closed = false
  async [Symbol.asyncDispose]() {
    this.closed = true
  }
}

function setUp(overrides: Partial<KeepConnectedOptions<Line>> = {}) {
  const clock = manualClock()
  const stop = new AbortController()
  const lines: Line[] = []
  const dialled: number[] = []
  const options: KeepConnectedOptions<Line> = {
    async dial() {
      dialled.push(clock.now())
      lines.push(new Line())
      return lines.at(-1) as Line
    },
    async use() {},
    backoff: { minMs: 100, maxMs: 1_000 },
    stableMs: 5_000,
    clock,
    log: silentLog,
    signal: stop.signal,
    ...overrides,
  }
  return { clock, stop, lines, dialled, options }
}

async function refuse(): Promise<never> {
  throw new Error('refused')
}

test('backoff grows to its maximum, plus jitter', () => {
  expect(take(6, backoff({ minMs: 100, maxMs: 1_000 }))).toEqual([100, 200, 400, 800, 1_000, 1_000])
  expect(
    take(
      3,
      backoff({ minMs: 100, maxMs: 1_000, factor: 1, jitterMs: 50 }, () => 0.5),
    ),
  ).toEqual([125, 125, 125])
  expect(take(1, backoff({ minMs: 5_000, maxMs: 1_000 }))).toEqual([1_000])
})

test('gives up after the allowed number of failed attempts', async () => {
  const { clock, options } = setUp({ dial: refuse, maxAttempts: 4 })
  const outcome = keepConnected(options)
  await clock.whenSleeping()
  await clock.advance(100 + 200 + 400)
  expect(await outcome).toBe('gave up')
  expect(clock.now()).toBe(700)
})

test('retries without end at the longest delay when there is no limit', async () => {
  const { clock, options, stop, dialled } = setUp({ use: refuse })
  const outcome = keepConnected(options)
  await clock.whenSleeping()
  await clock.advance(60_000)
  expect(dialled.slice(0, 6)).toEqual([0, 100, 300, 700, 1_500, 2_500])
  expect(dialled.length).toBe(63)
  stop.abort()
  expect(await outcome).toBe('aborted')
})

test('resets delays and attempts after a stable connection, not after a short one', async () => {
  const lives = [4_999, 4_999, 5_000, 0, 0]
  const { clock, options, dialled } = setUp({ use: () => clock.sleep(lives.shift() ?? 0), maxAttempts: 3 })
  const outcome = keepConnected(options)
  await clock.whenSleeping()
  await clock.advance(60_000)
  expect(await outcome).toBe('gave up')
  expect(dialled).toEqual([0, 5_099, 10_298, 15_398, 15_598])
})

test('resets delays and attempts after a short connection that was of use', async () => {
  const uses = [false, false, true, false, false]
  const { clock, options, dialled } = setUp({
    use: async (_, __, wasOfUse) => {
      if (uses.shift()) wasOfUse()
    },
    maxAttempts: 3,
  })
  const outcome = keepConnected(options)
  await clock.whenSleeping()
  await clock.advance(60_000)
  expect(await outcome).toBe('gave up')
  expect(dialled).toEqual([0, 100, 300, 400, 600])
})

test('ends at once after a final error, and when done', async () => {
  const final = setUp({ dial: refuse, isFinal: error => (error as Error).message === 'refused' })
  expect(await keepConnected(final.options)).toBe('gave up')
  const done = setUp({ use: async () => 'done' })
  expect(await keepConnected(done.options)).toBe('done')
  expect(done.lines.map(line => line.closed)).toEqual([true])
})

test('closes every connection, also when its use fails or is aborted', async () => {
  const { clock, options, lines, stop } = setUp({
    use: async (_, signal) => {
      if (lines.length < 2) throw new Error('broke')
      await clock.sleep(1_000_000, signal)
    },
  })
  const outcome = keepConnected(options)
  await clock.whenSleeping()
  await clock.advance(100)
  stop.abort()
  expect(await outcome).toBe('aborted')
  expect(lines.map(line => line.closed)).toEqual([true, true])
})

test('ends without a delay when a dial is aborted', async () => {
  const { options, stop, clock } = setUp({ dial: signal => clock.sleep(1_000, signal).then(() => new Line()) })
  const outcome = keepConnected(options)
  stop.abort()
  expect(await outcome).toBe('aborted')
  expect(clock.sleeping).toBe(0)
})
