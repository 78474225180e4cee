/**
 * Measures many jobs at once on one miner with as many warm executors, compared with as many plain `docker run`s at
 * once. Then measures the miner's memory with all these jobs open, and how long large inputs block its event loop.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import { PlainRuns, timed } from './network/echo-job.ts'
import { BenchValidator, type MinerJob } from './network/miner-job.ts'
import { type Network, startNetwork } from './network/network.ts'
import { untilWarm } from './through-miner.ts'

const MIB = 1024 * 1024
/** The size of an inline input, and how many of them pass through the miner. */
const INPUT_BYTES = 40 * MIB
const INPUTS = 5

/** In ms and MiB. */
type Figures = { ready: number; results: number; openMib: number; lag: Lag }
type Lag = { p99: number; max: number }

/** Prints the table. `jobsAtOnce` is also the number of executors. The dialects run one after the other. */
export async function benchConcurrentJobs(jobsAtOnce: number, dialects: readonly Dialect[]): Promise<void> {
  const count = String(jobsAtOnce)
  const settings = {
    EXECUTOR_COUNT: count,
    EXECUTOR_WARM_COUNT: count,
    LOG_LEVEL: 'error',
    VOLUME_MAX_SIZE_BYTES: String(2 * INPUT_BYTES),
  }
  await using network = await startNetwork({ validators: 1, postgres: false, settings })
  network.miner.start()
  await using validator = await BenchValidator.connect(network)
  await using plain = await PlainRuns.open()
  await untilWarm(network, jobsAtOnce)
  const idle = await memoryMiB(network)
  const dockerMs = await timed(() => Promise.all(Array.from({ length: jobsAtOnce }, () => plain.run())))
  const all: Figures[] = []
  for (const dialect of dialects) all.push(await measure({ network, validator, dialect, jobsAtOnce }))
  const row = (name: string, cells: (string | number)[]) =>
    `${name.padEnd(44)}${cells.map(cell => String(cell).padStart(8)).join('')}`
  const rowOf = (name: string, digits: number, value: (figures: Figures) => number) =>
    row(
      name,
      all.map(value).map(each => each.toFixed(digits)),
    )
  const inputs = `event loop lag, ${INPUT_BYTES / MIB} MiB inputs`
  process.stdout.write(
    [
      row(`${jobsAtOnce} at once`, [...dialects]),
      row('all docker runs, seconds', [(dockerMs / 1000).toFixed(1)]),
      row('miner at rest, MiB', [idle.toFixed(0)]),
      rowOf('offers sent to all ready, seconds', 1, ({ ready }) => ready / 1000),
      rowOf('work sent to all results, seconds', 1, ({ results }) => results / 1000),
      rowOf('ratio: all jobs to all docker runs', 2, ({ ready, results }) => (ready + results) / dockerMs),
      rowOf(`miner with ${jobsAtOnce} open jobs, MiB`, 0, ({ openMib }) => openMib),
      rowOf(`${inputs}, p99 ms`, 0, ({ lag }) => lag.p99 * 1000),
      rowOf(`${inputs}, max ms`, 0, ({ lag }) => lag.max * 1000),
      '',
    ].join('\n'),
  )
}

interface Measured {
  network: Network
  validator: BenchValidator
  dialect: Dialect
  jobsAtOnce: number
}

/** The offers of v2026 include opening their connections. */
async function measure({ network, validator, dialect, jobsAtOnce }: Measured): Promise<Figures> {
  await untilWarm(network, jobsAtOnce)
  await using opened = new AsyncDisposableStack()
  const jobs: MinerJob[] = []
  const prepareOne = async () => {
    const job = opened.use(await validator.open(dialect))
    jobs.push(job)
    await job.prepare()
  }
  const ready = await timed(() => Promise.all(Array.from({ length: jobsAtOnce }, prepareOne)))
  const openMib = await memoryMiB(network)
  const results = await timed(() => Promise.all(jobs.map(job => job.run())))
  return { ready, results, openMib, lag: await measureInputLag(network, validator, dialect) }
}

/** Returns the memory of the miner's process, without its executors. */
async function memoryMiB({ miner }: Network): Promise<number> {
  const status = await readFile(`/proc/${miner.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024
}

/**
 * Sends large inputs through the miner, and returns its event loop lag meanwhile. The inputs are not zip files, so that
 * their jobs fail at once and take no further time of the machine.
 */
async function measureInputLag(network: Network, validator: BenchValidator, dialect: Dialect): Promise<Lag> {
  await untilWarm(network, 1)
  await readLag(network)
  for (let input = 0; input < INPUTS; input += 1) {
    await using job = await validator.open(dialect)
    await job.prepare()
    await job.fail(randomBytes((INPUT_BYTES * 3) / 4).toString('base64'))
  }
  return readLag(network)
}

/** Returns the event loop lag since the last call, in seconds. */
async function readLag({ adminUrl }: Network): Promise<Lag> {
  const metrics = await (await fetch(`${adminUrl}/metrics`)).text()
  const value = (name: string) =>
    Number(new RegExp(`^miner_nodejs_eventloop_lag_${name} (\\S+)`, 'm').exec(metrics)?.[1])
  return { p99: value('p99_seconds'), max: value('max_seconds') }
}
