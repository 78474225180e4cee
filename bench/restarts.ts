/**
 * Kills a validator with -9 at random moments and starts it again, over many batches. It must lose no result that a
 * miner has, and count every batch exactly once. Exits with 1 when it found a problem. Command: `pnpm restarts`.
 */

import { runService } from '@horde/kit/run'
import { systemClock, withDeadline } from '@horde/kit/time'
import { count, isNull, or } from 'drizzle-orm'
import { batches, jobs } from '../packages/validator/src/db/schema.ts'
import { type JobEnds, summarise } from './restarts/find-problems.ts'
import { type RestartOptions, readOptions, USAGE, UsageError } from './restarts/options.ts'
import { startTestNetwork, type TestNetwork } from './restarts/test-network.ts'
import { type Random, seededRandom } from './soak/random.ts'

const EXIT_USAGE = 2
/** The shortest time from a start to the kill, in ms. */
const MIN_LIFE_MS = 500
/**
 * The share of processes that may be killed while they are still starting. With more, a validator on a busy machine
 * would never start.
 */
const EARLY_KILLS = 0.2
/** How long the last process may take to close and score all batches, in ms. */
const CLOSE_BATCHES_MS = 300_000
const POLL_MS = 500
const MAX_SHOWN = 50
const ROWS: (keyof JobEnds)[] = ['jobs', 'measured', 'excused', 'without a result']
type Row = [name: string, ...cells: (string | number)[]]

async function main(signal: AbortSignal): Promise<number> {
  const options = optionsOf(process.argv.slice(2))
  if (!options) return EXIT_USAGE
  process.stdout.write(`seed ${options.seed}\n`)
  await using network = await startTestNetwork(options)
  const kills = await killUntilEnoughJobs(network, options, seededRandom(options.seed), signal)
  const last = network.startValidator({ startsBatches: false })
  const allClosed = await closesAllBatches(network, signal)
  last.child.kill('SIGTERM')
  const code = await last.ended
  const { problems, ends, ...figures } = await summarise(network)
  if (!allClosed) {
    problems.push(`batches were still open after ${CLOSE_BATCHES_MS / 1000} s: ${last.lines.slice(-5).join('\n')}`)
  }
  if (code !== 0) problems.push(`the validator exited with ${code} when it was stopped`)
  const rows: Row[] = [
    ...Object.entries({ kills, ...figures }),
    ['', ...options.dialects],
    ...ROWS.map(name => [name, ...ends.map(each => each[name])] satisfies Row),
    ['problems', problems.length],
  ]
  for (const [name, ...cells] of rows) process.stdout.write(`${name.padEnd(18)}${cells.map(cell).join('')}\n`)
  for (const problem of problems.slice(0, MAX_SHOWN)) process.stdout.write(`  ${problem}\n`)
  return problems.length > 0 ? 1 : 0
}

const cell = (value: string | number) => String(value).padStart(10)

function optionsOf(args: string[]): RestartOptions | undefined {
  try {
    return readOptions(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\n${USAGE}\n`)
    return undefined
  }
}

/** Returns how many processes it killed. */
async function killUntilEnoughJobs(
  network: TestNetwork,
  options: RestartOptions,
  random: Random,
  signal: AbortSignal,
): Promise<number> {
  let kills = 0
  while (!signal.aborted && (await countJobs(network)) < options.jobs) {
    const validator = network.startValidator()
    if (random() >= EARLY_KILLS) await Promise.race([validator.started, validator.ended])
    const lifeMs = MIN_LIFE_MS + random() * (options.killSeconds * 1000 - MIN_LIFE_MS)
    await systemClock.sleep(lifeMs, signal).catch(() => {})
    validator.child.kill('SIGKILL')
    if ((await validator.ended) !== null)
      throw new Error(`the validator ended by itself: ${validator.lines.join('\n')}`)
    kills += 1
  }
  return kills
}

async function countJobs({ db }: TestNetwork): Promise<number> {
  const [row] = await db.select({ jobs: count() }).from(jobs)
  return row?.jobs ?? 0
}

/** Returns false when a batch is still open or not scored after `CLOSE_BATCHES_MS`. */
async function closesAllBatches({ db }: TestNetwork, signal: AbortSignal): Promise<boolean> {
  const isOpen = or(isNull(batches.closedAt), isNull(batches.scoredAt))
  const untilClosed = async () => {
    while (!signal.aborted && (await db.select().from(batches).where(isOpen)).length > 0) {
      await systemClock.sleep(POLL_MS, signal)
    }
    return true
  }
  return await withDeadline(untilClosed(), CLOSE_BATCHES_MS, 'closing all batches').catch(() => false)
}

await runService('restarts', main)
