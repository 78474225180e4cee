/**
 * A long run of real executors on the engine of this machine: honest jobs in a row and at once, and rounds of hostile ones
 * with honest ones among them. Every answer is checked, and the host is counted before and after. Exits with 1 when an
 * answer was wrong or something leaked. Command: `pnpm soak`.
 */
import { runService } from '@horde/kit/run'
import { systemClock } from '@horde/kit/time'
import { type Figures, grown, readFigures } from './soak/figures.ts'
import { readOptions, USAGE, UsageError } from './soak/options.ts'
import { partsOf, runParts } from './soak/parts.ts'
import { report } from './soak/report.ts'

/** How long the engine may take to put away what was its own business, and how often that is looked at, in ms. */
const SETTLE_MS = 30_000
const SETTLE_PAUSE_MS = 1_000
/** Killing what runs and removing what it left, in ms. */
const STOP_MS = 60_000
const EXIT_USAGE = 2
/** What a shell says of a command that Ctrl-C ended. */
const EXIT_STOPPED = 130

async function soak(args: readonly string[], signal: AbortSignal): Promise<number> {
  const options = readOptions(args)
  process.stdout.write(`seed ${options.seed}\n\n`)
  // What is made once for a host, and what the engine keeps from its first job on, is no leak.
  await runParts(partsOf({ ...options, jobs: 4, waves: 0, hostileRounds: 0 }), signal)
  const before = await readFigures()
  const ran = await runParts(partsOf(options), signal)
  const after = await settled(before, options.shared, signal)
  const leaked = grown(before, after, options.shared)
  process.stdout.write(`${report(ran, before, after, leaked)}\n`)
  const isGood = leaked.length === 0 && [...ran.values()].flat().every(({ complaints }) => complaints.length === 0)
  return isGood ? 0 : 1
}

async function settled(before: Figures, shared: boolean, signal: AbortSignal): Promise<Figures> {
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
