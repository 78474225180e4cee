import { performance } from 'node:perf_hooks'
import { type Clock, manualClock } from '@horde/kit/time'

/** How often it looks at the machine's time, and how much of that passes at most for it in between, in ms. */
const LOOK_MS = 1
const MOST_MS = 2
/** What lies at least between two readings, in ms: as on the machine's clock, what comes later has the larger one. */
const TICK_MS = 1e-6
/** After so many looks in a row between which the process did nothing, it only waits for time to pass. */
const IDLE_LOOKS = 40
/** How long the process works at most between two looks while it does nothing but look, in ms. */
const IDLE_WORK_MS = 0.25
/** How much time passes from one look to the next while the process only waits, in ms. */
const IDLE_STEP_MS = 25

export interface TurnClock extends Clock, Disposable {
  /** Moves time on by `ms` at the next turn, each sleeper waking at its own moment. */
  skip(ms: number): void
}

/**
 * Returns a clock for tests whose peers all live in this process: it goes as fast as the machine's, but stands still while the
 * process is held up. A deadline then passes only after whatever was sent before it had its turns of the event loop,
 * however slow the machine is. While the process has nothing to do but wait, time passes many times faster: nothing but
 * a sleeper of this clock can be what it waits for. `now()` is the machine's.
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
