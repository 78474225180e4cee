/** Longest delay that Node's timers take, in ms; a longer one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Nobody looks at it. Without a reason of its own an abort makes an error with a stack, which costs more than the wait. */
const SETTLED = 'settled'

/** Where time comes from. Services pass one down, so that tests can move it by hand. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump when the system's clock is set. */
  now(): number
  /** Milliseconds since some fixed point; only ever grows. For measuring durations. */
  monotonic(): number
  /** Resolves after `ms` milliseconds (any length; 0 or less: soon). Rejects with `signal.reason` when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** A wait took longer than its deadline. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError'
  /** The deadline that passed, in ms. */
  readonly ms: number

  constructor(what: string, ms: number) {
    super(`${what}: not done within ${ms} ms`)
    this.ms = ms
  }
}

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: sleepOnTimers,
}

async function sleepOnTimers(ms: number, signal?: AbortSignal): Promise<void> {
  let left = ms
  do {
    await sleepOnce(Math.min(left, LONGEST_TIMER_MS), signal)
    left -= LONGEST_TIMER_MS
  } while (left > 0)
}

function sleepOnce(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/**
 * The promise's outcome, or a rejection with DeadlineError after `ms` milliseconds. What the promise stands for goes on:
 * whoever started it also stops it.
 *
 * @param what begins the error's message: 'metagraph', 'docker pull'
 */
export async function withDeadline<T>(
  promise: Promise<T>,
  ms: number,
  what: string,
  clock: Clock = systemClock,
): Promise<T> {
  const settled = new AbortController()
  const deadline = clock.sleep(ms, settled.signal).then(() => {
    throw new DeadlineError(what, ms)
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    deadline.catch(() => {})
    settled.abort(SETTLED)
  }
}

/** A clock for tests: time stands still until somebody advances it. */
export interface ManualClock extends Clock {
  /** How many sleeps are waiting. */
  readonly sleeping: number
  /** Moves time on by `ms`, waking each sleeper at its own moment, and lets what they do settle in between. */
  advance(ms: number): Promise<void>
  /** Resolves once at least `count` sleeps wait. */
  whenSleeping(count?: number): Promise<void>
}

interface Sleeper {
  at: number
  wake(): void
}

/** @param startMs what `now()` says at first, in ms since the epoch */
export function manualClock(startMs = 0): ManualClock {
  let elapsed = 0
  const sleepers = new Set<Sleeper>()
  const watchers = new Set<() => void>()

  function sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        sleepers.delete(sleeper)
        reject(signal?.reason)
      }
      const wake = () => {
        sleepers.delete(sleeper)
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      const sleeper = { at: elapsed + Math.max(0, ms), wake }
      sleepers.add(sleeper)
      signal?.addEventListener('abort', onAbort, { once: true })
      for (const look of watchers) look()
    })
  }

  async function advance(ms: number): Promise<void> {
    const target = elapsed + ms
    for (;;) {
      const next = [...sleepers].sort((a, b) => a.at - b.at)[0]
      if (!next || next.at > target) break
      elapsed = next.at
      next.wake()
      await settle()
    }
    elapsed = target
    await settle()
  }

  function whenSleeping(count = 1): Promise<void> {
    return new Promise(resolve => {
      const look = () => {
        if (sleepers.size < count) return
        watchers.delete(look)
        resolve()
      }
      watchers.add(look)
      look()
    })
  }

  return {
    now: () => startMs + elapsed,
    monotonic: () => elapsed,
    sleep,
    advance,
    whenSleeping,
    get sleeping() {
      return sleepers.size
    },
  }
}

/** One turn of the event loop: every promise that can settle without I/O has. */
function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
