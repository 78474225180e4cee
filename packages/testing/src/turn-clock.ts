import { performance } from 'node:perf_hooks'
import { type Clock, manualClock } from '@horde/kit/time'

/** The time between two readings of the machine's clock, in ms. */
const POLL_MS = 1
/** How far this clock advances at most from one reading to the next while the process works, in ms. */
const MAX_STEP_MS = 2
/** The least difference between two calls of `monotonic()`, in ms: a later call returns a larger value. */
const TICK_MS = 1e-6
/** After this many idle readings in a row, the process is only waiting for time to pass. */
const IDLE_READINGS = 40
/** How long an idle process works at most between two readings, in ms. */
const IDLE_WORK_MS = 0.25
/** How far this clock advances from one reading to the next while the process only waits, in ms. */
const IDLE_STEP_MS = 25

export interface TurnClock extends Clock, Disposable {
  /** Advances the clock by `ms` at the next turn. Each sleeper wakes at its own time. */
  skip(ms: number): void
}

/**
 * Returns a clock for tests whose peers all live in this process. It runs as fast as the machine's clock, but stands
 * still while the process is held up. A deadline then passes only after the event loop has handled what was sent before
 * it, however slow the machine is. While the process is idle, the clock runs many times faster, because the process can
 * only be waiting for a sleeper of this clock. So the database must be in this process, too: `pglite://memory`. While a
 * Postgres server answers slowly, the process looks idle. `now()` is the machine's.
 */
export function turnClock(): TurnClock {
  const inner = manualClock()
  let last = performance.now()
  let reading = 0
  let skipped = 0
  let isOver = false
  async function advance(): Promise<void> {
    let idleReadings = 0
    while (!isOver) {
      const before = performance.eventLoopUtilization()
      // A reading of the machine's clock, which this clock follows: nothing is expected to have happened after it.
      await new Promise(resolve => setTimeout(resolve, POLL_MS))
      const now = performance.now()
      const { active } = performance.eventLoopUtilization(before)
      const passed = Math.min(MAX_STEP_MS, now - last)
      const isIdle = now - last < 2 * MAX_STEP_MS && active < IDLE_WORK_MS && skipped === 0
      idleReadings = isIdle ? idleReadings + 1 : 0
      const ms = (idleReadings > IDLE_READINGS ? IDLE_STEP_MS : passed) + skipped
      skipped = 0
      await inner.advance(ms)
      last = now
    }
  }
  void advance()
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
