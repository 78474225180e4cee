import { type Clock, manualClock } from '../time.ts'

/** How often it looks at the machine's time, and how much of that passes at most for it in between, in ms. */
const LOOK_MS = 1
const MOST_MS = 2
/** What lies at least between two readings, in ms: as on the machine's clock, what comes later has the larger one. */
const TICK_MS = 1e-6

/**
 * Returns a clock for tests whose peers all live in this process: it goes as fast as the machine's, but stands still while the
 * process is held up. A deadline then passes only after whatever was sent before it had its turns of the event loop,
 * however slow the machine is. `now()` is the machine's.
 */
export function turnClock(): Clock & Disposable {
  const inner = manualClock()
  let last = performance.now()
  let reading = 0
  let isOver = false
  async function pass(): Promise<void> {
    while (!isOver) {
      await new Promise(resolve => setTimeout(resolve, LOOK_MS))
      const now = performance.now()
      await inner.advance(Math.min(MOST_MS, now - last))
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
    [Symbol.dispose]: () => {
      isOver = true
    },
  }
}
