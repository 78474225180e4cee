import type { Log } from './log.ts'
import { type Clock, systemClock } from './time.ts'

export interface LoopOptions {
  name: string
  /** The time between two starts, in ms. A run that takes longer skips the starts it missed. */
  everyMs: number
  /** How long a run may take before its signal aborts, in ms. Default: no limit. */
  deadlineMs?: number
  /** The delay before the first run, in ms. Default: 0. */
  firstAfterMs?: number
  run(signal: AbortSignal): Promise<void>
  /** Called after a successful run. Returns the ms until the next one; undefined: as `everyMs` says. */
  nextInMs?(): number | undefined
  log: Log
  clock?: Clock
  /** Ends the loop. */
  signal: AbortSignal
}

export interface LoopState {
  readonly running: boolean
  readonly runs: number
  /** The number of failed runs in a row; 0 after a success. */
  readonly failuresInARow: number
  /** Start and end of the last run, in ms since the epoch. */
  readonly startedAt?: number
  readonly endedAt?: number
  readonly succeededAt?: number
  readonly error?: unknown
}

/** Work that runs periodically. It ends with its signal, or when disposed of, after the run in progress. */
export interface Loop extends AsyncDisposable {
  readonly name: string
  state(): LoopState
  /** Starts the next run at once, or right after the one in progress. */
  wake(): void
}

/** Starts a loop. Its runs never overlap, and a failed run is logged and does not end it. */
export function startLoop(options: LoopOptions): Loop {
  const { name, clock = systemClock } = options
  const ended = new AbortController()
  const signal = AbortSignal.any([options.signal, ended.signal])
  let state: LoopState = { running: false, runs: 0, failuresInARow: 0 }
  let woken = new AbortController()

  async function runOnce(): Promise<void> {
    const { error: _, ...rest } = state
    state = { ...rest, running: true, runs: state.runs + 1, startedAt: clock.now() }
    try {
      await runBounded(options, clock, signal)
      if (state.failuresInARow > 0) options.log.info({ loop: name }, 'loop works again')
      state = { ...state, running: false, failuresInARow: 0, endedAt: clock.now(), succeededAt: clock.now() }
    } catch (error) {
      const failuresInARow = signal.aborted ? state.failuresInARow : state.failuresInARow + 1
      state = { ...state, running: false, failuresInARow, endedAt: clock.now(), error }
      if (!signal.aborted) options.log.error({ err: error, loop: name, failuresInARow }, 'loop run failed')
    }
  }

  async function runUntilAborted(): Promise<void> {
    await sleep(options.firstAfterMs ?? 0)
    while (!signal.aborted) {
      const startedAt = clock.monotonic()
      await runOnce()
      const late = (clock.monotonic() - startedAt) % options.everyMs
      const asked = state.failuresInARow === 0 ? options.nextInMs?.() : undefined
      await sleep(asked ?? options.everyMs - late)
    }
  }

  async function sleep(ms: number): Promise<void> {
    await clock.sleep(ms, AbortSignal.any([signal, woken.signal])).catch(() => {})
    woken = new AbortController()
  }

  const running = runUntilAborted().catch(() => {})
  return {
    name,
    state: () => state,
    wake: () => woken.abort(),
    async [Symbol.asyncDispose]() {
      ended.abort()
      await running
    },
  }
}

async function runBounded(options: LoopOptions, clock: Clock, signal: AbortSignal): Promise<void> {
  if (options.deadlineMs === undefined) return options.run(signal)
  const over = new AbortController()
  const deadline = clock.sleep(options.deadlineMs, over.signal).then(
    () => over.abort(new DOMException(`${options.name}: not done within ${options.deadlineMs} ms`, 'TimeoutError')),
    () => {},
  )
  try {
    await options.run(AbortSignal.any([signal, over.signal]))
  } finally {
    over.abort()
    await deadline
  }
}
