import { performance } from 'node:perf_hooks'
import { type Clock, manualClock } from '@horde/kit/time'

/** How often the clock reads the machine's time, in ms. */
const LOOK_MS = 1
/** How far the clock advances at most between two such readings while the process works, in ms. */
const MOST_MS = 2
/** The least difference between two results of `monotonic()`, in ms: a later result is always the larger one. */
const TICK_MS = 1e-6
/** After this many idle looks in a row, the process counts as only waiting for time to pass. */
const IDLE_LOOKS = 40
/** A look counts as idle when the process worked less than this since the look before, in ms. */
const IDLE_WORK_MS = 0.25
/** How far the clock advances from one look to the next while the process only waits, in ms. */
const IDLE_STEP_MS = 25

export interface TurnClock extends Clock, Disposable {
  /** Advances the clock by `ms` at its next look. Each sleeper wakes at its own moment. */
  skip(ms: number): void
}

/**
 * Returns a clock for tests whose peers all live in this process. It runs at the machine's speed, but stands still
 * while the process is held up. So on a slow machine too, a deadline passes only after the event loop has handled what
 * was sent before it. While the process only waits, the clock runs many times faster: the process can then wait only
 * for a sleeper of this clock. `now()` returns the machine's time.
 */
export function turnClock(): TurnClock {
  const inner = manualClock()
  let last = performance.now()
  let reading = 0
  let skipped = 0
  let isOver = false
  async function pass(): Promise<void> {
    let idleLooks = 0
    while (!isOver) {
      const before = performance.eventLoopUtilization()
      await new Promise(resolve => setTimeout(resolve, LOOK_MS))
      const now = performance.now()
      const { active } = performance.eventLoopUtilization(before)
      const passed = Math.min(MOST_MS, now - last)
      const isIdle = now - last < 2 * MOST_MS && active < IDLE_WORK_MS && skipped === 0
      idleLooks = isIdle ? idleLooks + 1 : 0
      const ms = (idleLooks > IDLE_LOOKS ? IDLE_STEP_MS : passed) + skipped
      skipped = 0
      await inner.advance(ms)
      last = now
    }
  }
  void pass()
  return {
    now: () => Date.now(),
    monotonic: () => {
      reading = Math.max(inner.monotonic(), reading + TICK_MS)
      return reading
    },
    sleep: (ms, signal) => inner.sleep(ms, signal),
    skip: ms => {
      skipped += ms
    },
    [Symbol.dispose]: () => {
      isOver = true
    },
  }
}
