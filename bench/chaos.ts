/**
 * Kills a real miner with -9 every few seconds, while it also kills executors and cuts connections at random. Every
 * accepted job must end exactly once, with its own answer, and leave nothing behind. Exits with 1 when it found a
 * problem. Command: `pnpm chaos`.
 */
import { fileURLToPath } from 'node:url'
import { openDatabase } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import { runService } from '@horde/kit/run'
import { systemClock, withDeadline } from '@horde/kit/time'
import { connectDefaultEngine } from '../packages/engine/src/connect.ts'
import { ownIdentity } from '../packages/executor/src/workspace/identity.ts'
import { removeOrphans } from '../packages/executor/src/workspace/orphans.ts'
import { jobs } from '../packages/miner/src/db/schema.ts'
import { findProblems, type MinerJob, orphansInEngine } from './chaos/find-problems.ts'
import { injectFaults } from './chaos/inject-faults.ts'
import { type ChaosOptions, readOptions, USAGE, UsageError } from './chaos/options.ts'
import { report } from './chaos/report.ts'
import { type JobOutcome, runJobs } from './chaos/run-jobs.ts'
import { executorPids } from './network/executor-processes.ts'
import { type Network, startNetwork } from './network/network.ts'
import { seededRandom } from './soak/random.ts'

const EXIT_USAGE = 2
/** The exit code that a shell reports for a command that Ctrl-C ended. */
const EXIT_STOPPED = 130
/** How long closing everything may take after a signal, in ms. */
const STOP_MS = 60_000
/** How long executors may take to clean up, in ms. */
const SETTLE_MS = 30_000
const SETTLE_PAUSE_MS = 500
/** How many accepted jobs end between two lines of progress. */
const PROGRESS_EVERY = 20
/** How long the miner may take to serve again after it was last killed, in ms. */
const SERVE_MS = 60_000

const migrationsOf = (service: 'miner' | 'validator') =>
  fileURLToPath(new URL(`../packages/${service}/drizzle`, import.meta.url))

async function chaos(args: readonly string[], signal: AbortSignal): Promise<number> {
  const options = readOptions(args)
  process.stdout.write(`seed ${options.seed}\n\n`)
  let hasProblems = true
  const { validators, postgres } = options
  const settings = { EXECUTOR_COUNT: String(options.executors), EXECUTOR_WARM_COUNT: String(options.warm) }
  await using network = await startNetwork({ validators, postgres, settings, keepLog: () => hasProblems })
  const { outcomes, faults } = await runJobsWithFaults(options, network, signal)
  await withDeadline(network.miner.serving, SERVE_MS, 'the miner to serve')
  const code = await network.miner.stop()
  const problems = [
    ...(code === 0 ? [] : [`the miner stopped with exit code ${code}`]),
    ...findProblems(outcomes, await readMinerJobs(network.databaseUrl), faults),
    ...(await findOrphans(outcomes, network.minerHotkey)),
  ]
  process.stdout.write(`${report(outcomes, faults, options.dialects, problems)}\n`)
  hasProblems = problems.length > 0
  return hasProblems ? 1 : 0
}

async function runJobsWithFaults(options: ChaosOptions, network: Network, signal: AbortSignal) {
  const { validators, minerHotkey, miner, relay } = network
  await using database = await openDatabase({ url: 'pglite://memory', migrationsFolder: migrationsOf('validator') })
  const outcomes: JobOutcome[] = []
  const accepted = () => outcomes.filter(({ wasAccepted }) => wasAccepted).length
  const onEnd = (job: JobOutcome) => {
    outcomes.push(job)
    if (job.wasAccepted && accepted() % PROGRESS_EVERY === 0)
      process.stderr.write(`chaos: ${accepted()} accepted jobs ended, the miner was started ${miner.starts} times\n`)
  }
  const jobsEnded = new AbortController()
  const untilJobsEnded = AbortSignal.any([signal, jobsEnded.signal])
  miner.start()
  const targets = { miner, relay, minerHotkey }
  const injecting = injectFaults(targets, options.killSeconds, seededRandom(options.seed), untilJobsEnded)
  try {
    const jobsAtOnce = Math.ceil(options.executors / validators.length) + 1
    const isEnough = () => accepted() >= options.jobs
    await Promise.all(
      validators.map((key, at) => {
        const random = seededRandom(options.seed + at + 1)
        const connectsPerJob = at === validators.length - 1
        const { dialects } = options
        const deps = { key, minerHotkey, address: relay.address, db: database.db, dialects, connectsPerJob, random }
        return runJobs(deps, jobsAtOnce, isEnough, onEnd, signal)
      }),
    )
  } finally {
    jobsEnded.abort()
  }
  return { outcomes, faults: await injecting }
}

async function readMinerJobs(url: string): Promise<MinerJob[]> {
  await using database = await openDatabase({ url, migrationsFolder: migrationsOf('miner') })
  const { uuid, state, reason } = jobs
  return await database.db.select({ uuid, state, reason }).from(jobs)
}

/**
 * Returns a sentence for each executor, container and volume that is still there after `SETTLE_MS`. First removes what
 * killed executors left, as the next executor on the same host would.
 */
async function findOrphans(outcomes: readonly JobOutcome[], minerHotkey: string): Promise<string[]> {
  await removeOrphans(await connectDefaultEngine(), ownIdentity(), silentLog)
  const until = performance.now() + SETTLE_MS
  for (;;) {
    const processes = (await executorPids(minerHotkey)).map(pid => `an executor still runs, pid ${pid}`)
    const orphans = [...processes, ...(await orphansInEngine(outcomes))]
    if (orphans.length === 0 || performance.now() > until) return orphans
    await systemClock.sleep(SETTLE_PAUSE_MS)
  }
}

async function main(signal: AbortSignal): Promise<number> {
  try {
    return await chaos(process.argv.slice(2), signal)
  } catch (error) {
    if (signal.aborted) return EXIT_STOPPED
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\n${USAGE}\n`)
    return EXIT_USAGE
  }
}

await runService('chaos', main, { stopWithinMs: STOP_MS })
