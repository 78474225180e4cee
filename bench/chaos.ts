/**
 * A miner with real executors that is killed with -9 every few seconds, while its executors are killed and its validators'
 * connections are cut at random: every accepted job must end once, with its own answer, and nothing may be left. Exits
 * with 1 when something was wrong. Command: `pnpm chaos`.
 */
import { fileURLToPath } from 'node:url'
import { openDatabase } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import { runService } from '@horde/kit/run'
import { systemClock, withDeadline } from '@horde/kit/time'
import { Engine } from '../packages/executor/src/engine/container.ts'
import { ownIdentity } from '../packages/executor/src/engine/identity.ts'
import { sweepLeftovers } from '../packages/executor/src/engine/leftovers.ts'
import { jobs as minersJobs } from '../packages/miner/src/db/schema.ts'
import { judge, leftIn, type MinersView } from './chaos/judge.ts'
import { type ChaosOptions, readOptions, USAGE, UsageError } from './chaos/options.ts'
import { report } from './chaos/report.ts'
import { makeTrouble, type Troubles } from './chaos/trouble.ts'
import { type Given, giveJobs } from './chaos/validator.ts'
import { type Network, startNetwork } from './network/network.ts'
import { executorsOf } from './network/owned-processes.ts'
import { seededRandom } from './soak/random.ts'

const EXIT_USAGE = 2
/** What a shell says of a command that Ctrl-C ended. */
const EXIT_STOPPED = 130
/** Closing everything after a signal, in ms. */
const STOP_MS = 60_000
/** How long what executors clean up may take, in ms. */
const SETTLE_MS = 30_000
const PROGRESS_EVERY = 20
/** How long the miner may take to serve again after its last end, in ms. */
const SERVE_MS = 60_000

const migrationsOf = (service: 'miner' | 'validator') =>
  fileURLToPath(new URL(`../packages/${service}/drizzle`, import.meta.url))

async function chaos(args: readonly string[], signal: AbortSignal): Promise<number> {
  const options = readOptions(args)
  process.stdout.write(`seed ${options.seed}\n\n`)
  let isBad = true
  const { validators, postgres } = options
  const settings = { EXECUTOR_COUNT: String(options.executors), EXECUTOR_WARM_COUNT: String(options.warm) }
  await using network = await startNetwork({ validators, postgres, settings, keep: () => isBad })
  const { given, troubles } = await runJobs(options, network, signal)
  await withDeadline(network.miner.serving, SERVE_MS, 'the miner to serve')
  const code = await network.miner.stop()
  const complaints = [
    ...(code === 0 ? [] : [`the miner stopped with exit code ${code}`]),
    ...judge(given, await minersView(network.databaseUrl), troubles),
    ...(await whatIsLeft(given, network.minerHotkey)),
  ]
  process.stdout.write(`${report(given, troubles, complaints)}\n`)
  isBad = complaints.length > 0
  return isBad ? 1 : 0
}

async function runJobs(options: ChaosOptions, network: Network, signal: AbortSignal) {
  const { validators, minerHotkey, miner, relay } = network
  await using database = await openDatabase({ url: 'pglite://memory', migrationsFolder: migrationsOf('validator') })
  const given: Given[] = []
  const accepted = () => given.filter(({ wasAccepted }) => wasAccepted).length
  const onEnd = (job: Given) => {
    given.push(job)
    if (job.wasAccepted && accepted() % PROGRESS_EVERY === 0)
      process.stderr.write(`chaos: ${accepted()} jobs ended, the miner was started ${miner.starts} times\n`)
  }
  const over = new AbortController()
  miner.start()
  const either = AbortSignal.any([signal, over.signal])
  const trouble = makeTrouble(
    { miner, relay, owner: minerHotkey },
    options.killSeconds,
    seededRandom(options.seed),
    either,
  )
  try {
    const seats = Math.ceil(options.executors / validators.length) + 1
    const isEnough = () => accepted() >= options.jobs
    await Promise.all(
      validators.map((key, at) => {
        const random = seededRandom(options.seed + at + 1)
        const deps = { key, minerHotkey, address: relay.address, db: database.db, random }
        return giveJobs({ ...deps, isOld: at === validators.length - 1 }, seats, isEnough, onEnd, signal)
      }),
    )
  } finally {
    over.abort()
  }
  return { given, troubles: (await trouble) satisfies Troubles }
}

async function minersView(url: string): Promise<MinersView[]> {
  await using database = await openDatabase({ url, migrationsFolder: migrationsOf('miner') })
  const { uuid, state, reason } = minersJobs
  return await database.db.select({ uuid, state, reason }).from(minersJobs)
}

/** What killed executors left goes when the next one starts on their host, as here. */
async function whatIsLeft(given: readonly Given[], owner: string): Promise<string[]> {
  await sweepLeftovers(new Engine(), ownIdentity(), silentLog)
  const until = performance.now() + SETTLE_MS
  for (;;) {
    const processes = (await executorsOf(owner)).map(pid => `an executor is left, pid ${pid}`)
    const left = [...processes, ...(await leftIn(given))]
    if (left.length === 0 || performance.now() > until) return left
    await systemClock.sleep(500)
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
