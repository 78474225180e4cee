/**
 * Runs real executors on this machine's engine for a long time: honest jobs one after the other and at once, then
 * rounds of hostile jobs with honest ones between them. Checks every answer, and compares the host before and after.
 * Exits with 1 when an answer was wrong or something leaked. Command: `pnpm soak`.
 */
import { runService } from '@horde/kit/run'
import { systemClock } from '@horde/kit/time'
import { type Figures, grown, readFigures } from './soak/figures.ts'
import { readOptions, USAGE, UsageError } from './soak/options.ts'
import { partsOf, runParts } from './soak/parts.ts'
import { report } from './soak/report.ts'

/** How long the engine may take to clean up after the last job, in ms. */
const SETTLE_MS = 30_000
/** The time between two comparisons meanwhile, in ms. */
const SETTLE_PAUSE_MS = 1_000
/** How long it may take after a signal to kill the executors and to remove what they left, in ms. */
const STOP_MS = 60_000
const EXIT_USAGE = 2
/** The exit code that a shell reports for a command that Ctrl-C ended. */
const EXIT_STOPPED = 130

async function soak(args: readonly string[], signal: AbortSignal): Promise<number> {
  const options = readOptions(args)
  process.stdout.write(`seed ${options.seed}\n\n`)
  // Warms up first: what a host makes once, and what the engine keeps from its first job on, is not a leak.
  await runParts(partsOf({ ...options, jobs: 4, waves: 0, hostileRounds: 0 }), signal)
  const before = await readFigures()
  const results = await runParts(partsOf(options), signal)
  const after = await readSettledFigures(before, options.shared, signal)
  const leaked = grown(before, after, options.shared)
  process.stdout.write(`${report(results, before, after, leaked)}\n`)
  const allRight = [...results.values()].flat().every(({ complaints }) => complaints.length === 0)
  return leaked.length === 0 && allRight ? 0 : 1
}

/** Reads the figures until none has grown since `before`, at most for `SETTLE_MS`. */
async function readSettledFigures(before: Figures, shared: boolean, signal: AbortSignal): Promise<Figures> {
  const until = performance.now() + SETTLE_MS
  for (;;) {
    const after = await readFigures()
    if (grown(before, after, shared).length === 0 || performance.now() > until) return after
    await systemClock.sleep(SETTLE_PAUSE_MS, signal)
  }
}

async function main(signal: AbortSignal): Promise<number> {
  try {
    return await soak(process.argv.slice(2), signal)
  } catch (error) {
    if (signal.aborted) return EXIT_STOPPED
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\n${USAGE}\n`)
    return EXIT_USAGE
  }
}

await runService('soak', main, { stopWithinMs: STOP_MS })
