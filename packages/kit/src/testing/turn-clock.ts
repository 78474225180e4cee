import { type Clock, manualClock } from '../time.ts'

/** How often it looks at the machine's time, and how much of that passes at most for it in between, in ms. */
const LOOK_MS = 1
const MOST_MS = 2

/**
 * Returns a clock for tests whose peers all live in this process: it goes as fast as the machine's, but stands still while the
 * process is held up. A deadline then passes only after whatever was sent before it had its turns of the event loop,
 * however slow the machine is. `now()` is the machine's.
 */
export function turnClock(): Clock & Disposable {
  const inner = manualClock()
  let last = performance.now()
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
    monotonic: () => inner.monotonic(),
    sleep: (ms, signal) => inner.sleep(ms, signal),
    [Symbol.dispose]: () => {
      isOver = true
    },
  }
}
