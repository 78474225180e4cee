import { expect, test } from 'vitest'
import { createLog, silentLog } from './log.ts'
import { type LoopOptions, startLoop } from './loop.ts'
import { manualClock } from './time.ts'

function setUp(run: (signal: AbortSignal) => Promise<void>, overrides: Partial<LoopOptions> = {}) {
  const clock = manualClock(1_000_000)
  const stop = new AbortController()
  const loop = startLoop({ name: 'scan', everyMs: 100, run, log: silentLog, clock, signal: stop.signal, ...overrides })
  return { clock, stop, loop }
}

test('runs at once and then periodically, measured from start to start', async () => {
  const starts: number[] = []
  const { clock, loop, stop } = setUp(async () => {
    starts.push(clock.monotonic())
    await clock.sleep(30)
  })
  await clock.advance(250)
  expect(starts).toEqual([0, 100, 200])
  expect(loop.state()).toMatchObject({ running: false, runs: 3, failuresInARow: 0, succeededAt: 1_000_230 })
  stop.abort()
  await loop[Symbol.asyncDispose]()
  expect(clock.sleeping).toBe(0)
})

test('skips the starts that a slow run missed', async () => {
  const starts: number[] = []
  let running = 0
  const { clock, loop } = setUp(async () => {
    starts.push(clock.monotonic())
    running += 1
    expect(running).toBe(1)
    await clock.sleep(250)
    running -= 1
  })
  await clock.advance(700)
  expect(starts).toEqual([0, 300, 600])
  const ended = loop[Symbol.asyncDispose]()
  await clock.advance(250)
  await ended
  expect(running).toBe(0)
})

test('logs a failed run and goes on with the next', async () => {
  const lines: string[] = []
  const log = createLog('test', { destination: { write: line => void lines.push(line) } })
  let run = 0
  const { clock, loop } = setUp(
    async () => {
      run += 1
      if (run < 3) throw new Error(`bad ${run}`)
    },
    { log },
  )
  await clock.advance(100)
  expect(loop.state()).toMatchObject({ runs: 2, failuresInARow: 2, error: new Error('bad 2') })
  await clock.advance(100)
  expect(loop.state()).toMatchObject({ runs: 3, failuresInARow: 0 })
  expect(loop.state().error).toBeUndefined()
  expect(lines.map(line => JSON.parse(line).msg)).toEqual(['loop run failed', 'loop run failed', 'loop works again'])
  await loop[Symbol.asyncDispose]()
})

test('goes on after a run that throws before its first await', async () => {
  const { clock, loop } = setUp(() => {
    throw new Error('at once')
  })
  await clock.advance(100)
  expect(loop.state()).toMatchObject({ runs: 2, failuresInARow: 2 })
  await loop[Symbol.asyncDispose]()
})

test('aborts a run at its deadline', async () => {
  const { clock, loop } = setUp(signal => clock.sleep(1_000_000, signal), { deadlineMs: 40 })
  await clock.advance(40)
  expect(loop.state()).toMatchObject({ failuresInARow: 1, error: { name: 'TimeoutError' } })
  await loop[Symbol.asyncDispose]()
})

test('aborts the run in progress when disposed of, without counting a failure', async () => {
  const { clock, loop } = setUp(signal => clock.sleep(1_000_000, signal))
  await clock.advance(0)
  expect(loop.state().running).toBe(true)
  await loop[Symbol.asyncDispose]()
  expect(loop.state()).toMatchObject({ running: false, failuresInARow: 0 })
  expect(clock.sleeping).toBe(0)
})

test('can delay the first run', async () => {
  let runs = 0
  const { clock, loop } = setUp(async () => void runs++, { firstAfterMs: 70 })
  await clock.advance(69)
  expect(runs).toBe(0)
  await clock.advance(1)
  expect(runs).toBe(1)
  await loop[Symbol.asyncDispose]()
})

test('starts the next run when the last one says, or sooner when woken', async () => {
  const starts: number[] = []
  let nextInMs: number | undefined = 10
  const { clock, loop } = setUp(async () => void starts.push(clock.monotonic()), { nextInMs: () => nextInMs })
  await clock.advance(25)
  expect(starts).toEqual([0, 10, 20])
  nextInMs = undefined
  await clock.advance(150)
  expect(starts).toEqual([0, 10, 20, 30, 130])
  loop.wake()
  await clock.advance(0)
  expect(starts).toEqual([0, 10, 20, 30, 130, 175])
  await clock.advance(100)
  expect(starts).toEqual([0, 10, 20, 30, 130, 175, 275])
  await loop[Symbol.asyncDispose]()
})

test('runs again right after the run during which it was woken', async () => {
  const starts: number[] = []
  const { clock, loop } = setUp(async () => {
    starts.push(clock.monotonic())
    await clock.sleep(30)
  })
  await clock.advance(10)
  loop.wake()
  await clock.advance(30)
  expect(starts).toEqual([0, 30])
  await clock.advance(100)
  const ended = loop[Symbol.asyncDispose]()
  await clock.advance(100)
  await ended
})
