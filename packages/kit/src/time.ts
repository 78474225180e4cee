/** The longest delay that Node's timers accept, in ms. A longer one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The reason of an abort that is never read. Without one, abort() builds an error with a stack, which is slow. */
const SETTLED = 'settled'

/** The source of time. Services pass a clock down, so that tests can use a manual one. */
export interface Clock {
  /** Returns milliseconds since the Unix epoch. May jump when the system's clock is set. */
  now(): number
  /** Returns milliseconds since a fixed point. Never goes back: for measuring durations. */
  monotonic(): number
  /** Resolves after `ms` milliseconds, however long; soon when 0 or less. Rejects with `signal.reason` when aborted. */
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

/** The clock of this machine. */
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
 * Returns the promise's outcome, or rejects with DeadlineError after `ms` milliseconds. The work behind the promise
 * continues: the caller must stop it.
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

/** A clock for tests. Time stands still until the test advances it. */
export interface ManualClock extends Clock {
  /** The number of pending sleeps. */
  readonly sleeping: number
  /** Advances time by `ms`, wakes each sleeper at its time, and lets its promises settle before the next one. */
  advance(ms: number): Promise<void>
  /** Resolves once at least `count` sleeps are pending. Default: 1. */
  whenSleeping(count?: number): Promise<void>
}

interface Sleeper {
  at: number
  wake(): void
}

/** @param startMs the first value of `now()`, in ms since the epoch */
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

/** Waits one turn of the event loop, in which all promises settle that need no I/O. */
function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
