/**
 * A validator that is killed with -9 at random moments and started again, over many batches: no result that a miner has
 * may be lost, and no batch may count twice or not at all. Exits with 1 when something was wrong. Command: `pnpm restarts`.
 */

import { runService } from '@horde/kit/run'
import { systemClock, withDeadline } from '@horde/kit/time'
import { count, isNull, or } from 'drizzle-orm'
import { batches, jobs } from '../packages/validator/src/db/schema.ts'
import { judge } from './restarts/judge.ts'
import { type RestartOptions, readOptions, USAGE, UsageError } from './restarts/options.ts'
import { startWorld, type ValidatorProcess, type World } from './restarts/world.ts'
import { type Random, seededRandom } from './soak/random.ts'

const EXIT_USAGE = 2
/** The shortest life of a process, in ms. */
const LEAST_LIFE_MS = 500
/** How many of the processes may be killed while they still start: a busy machine would come to nothing else. */
const EARLY_KILLS = 0.2
/** How long what was left open may take to be closed and scored once nobody disturbs it any more, in ms. */
const QUIET_MS = 300_000
const POLL_MS = 500

async function main(signal: AbortSignal): Promise<number> {
  const options = optionsOf(process.argv.slice(2))
  if (!options) return EXIT_USAGE
  process.stdout.write(`seed ${options.seed}\n`)
  await using world = await startWorld(options)
  const kills = await killUntilEnough(world, options, seededRandom(options.seed), signal)
  const last = world.startValidator({ alone: true })
  const quiet = await isQuietSoon(world, signal)
  last.child.kill('SIGTERM')
  const code = await last.ended
  const { wrong, ...figures } = await judge(world)
  if (!quiet) wrong.push(`something was still open after ${QUIET_MS / 1000} s: ${last.lines.slice(-5).join('\n')}`)
  if (code !== 0) wrong.push(`the validator exited with ${code} when it was stopped`)
  for (const [name, figure] of Object.entries({ kills, ...figures, wrong: wrong.length })) {
    process.stdout.write(`${name.padEnd(12)}${figure}\n`)
  }
  for (const line of wrong.slice(0, 50)) process.stdout.write(`  ${line}\n`)
  return wrong.length > 0 ? 1 : 0
}

function optionsOf(args: string[]): RestartOptions | undefined {
  try {
    return readOptions(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${error.message}\n${USAGE}\n`)
    return undefined
  }
}

async function killUntilEnough(world: World, options: RestartOptions, random: Random, signal: AbortSignal) {
  let kills = 0
  while (!signal.aborted && (await jobsOf(world)) < options.jobs) {
    const validator: ValidatorProcess = world.startValidator()
    if (random() >= EARLY_KILLS) await Promise.race([validator.started, validator.ended])
    const lifeMs = LEAST_LIFE_MS + random() * (options.killSeconds * 1000 - LEAST_LIFE_MS)
    await systemClock.sleep(lifeMs, signal).catch(() => {})
    validator.child.kill('SIGKILL')
    if ((await validator.ended) !== null)
      throw new Error(`the validator ended by itself: ${validator.lines.join('\n')}`)
    kills += 1
  }
  return kills
}

async function jobsOf({ db }: World): Promise<number> {
  const [row] = await db.select({ jobs: count() }).from(jobs)
  return row?.jobs ?? 0
}

/** Whether every batch is closed and scored in the end. */
async function isQuietSoon({ db }: World, signal: AbortSignal): Promise<boolean> {
  const open = or(isNull(batches.closedAt), isNull(batches.scoredAt))
  const until = async () => {
    while (!signal.aborted && (await db.select().from(batches).where(open)).length > 0) {
      await systemClock.sleep(POLL_MS, signal)
    }
    return true
  }
  return await withDeadline(until(), QUIET_MS, 'closing all batches').catch(() => false)
}

await runService('restarts', main)
