/**
 * Measures many jobs at once on one miner with as many warm executors, compared with as many plain `docker run`s at
 * once. Then measures the miner's memory with all these jobs open, and how long large inputs block its event loop.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { TestValidator } from '@horde/testing/peers/validator'
import { echoJob, PlainRuns, timed } from './network/echo-job.ts'
import { type Network, startNetwork } from './network/network.ts'
import { connect, untilWarm } from './through-miner.ts'

const MIB = 1024 * 1024
/** The size of an inline input, and how many of them pass through the miner. */
const INPUT_BYTES = 40 * MIB
const INPUTS = 5

/** Prints the table. `jobsAtOnce` is also the number of executors. */
export async function benchConcurrentJobs(jobsAtOnce: number): Promise<void> {
  const count = String(jobsAtOnce)
  const settings = {
    EXECUTOR_COUNT: count,
    EXECUTOR_WARM_COUNT: count,
    LOG_LEVEL: 'error',
    VOLUME_MAX_SIZE_BYTES: String(2 * INPUT_BYTES),
  }
  await using network = await startNetwork({ validators: 1, postgres: false, settings })
  network.miner.start()
  await using validator = await connect(network)
  await using plain = await PlainRuns.open()
  await untilWarm(network, jobsAtOnce)
  const idle = await memoryMiB(network)
  const dockerMs = await timed(() => Promise.all(Array.from({ length: jobsAtOnce }, () => plain.run())))
  const jobs = Array.from({ length: jobsAtOnce }, () => echoJob())
  const readyMs = await timed(() => Promise.all(jobs.map(job => offerUntilReady(validator, job))))
  const open = await memoryMiB(network)
  const resultsMs = await timed(() => Promise.all(jobs.map(job => workUntilResult(validator, job))))
  const lag = await measureInputLag(network, validator)
  process.stdout.write(
    [
      `${jobsAtOnce} at once`.padEnd(44),
      row('all docker runs, seconds', (dockerMs / 1000).toFixed(1)),
      row('offers sent to all ready, seconds', (readyMs / 1000).toFixed(1)),
      row('work sent to all results, seconds', (resultsMs / 1000).toFixed(1)),
      row('ratio: all jobs to all docker runs', ((readyMs + resultsMs) / dockerMs).toFixed(2)),
      row('miner at rest, MiB', idle.toFixed(0)),
      row(`miner with ${jobsAtOnce} open jobs, MiB`, open.toFixed(0)),
      row(`event loop lag, ${INPUT_BYTES / MIB} MiB inputs, p99 ms`, (lag.p99 * 1000).toFixed(0)),
      row(`event loop lag, ${INPUT_BYTES / MIB} MiB inputs, max ms`, (lag.max * 1000).toFixed(0)),
      '',
    ].join('\n'),
  )
}

const row = (name: string, value: string) => `${name.padEnd(44)}${value.padStart(8)}`

async function offerUntilReady(validator: TestValidator, { offer }: ReturnType<typeof echoJob>): Promise<void> {
  const answer = validator.receive(offer.job_uuid, 'V0ExecutorReadyRequest')
  await validator.send(offer)
  await answer
}

async function workUntilResult(validator: TestValidator, { work }: ReturnType<typeof echoJob>): Promise<void> {
  const answer = validator.receive(work.job_uuid, 'V0JobFinishedRequest')
  await validator.send(work)
  await answer
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
async function measureInputLag(network: Network, validator: TestValidator): Promise<{ p99: number; max: number }> {
  await untilWarm(network, 1)
  await readLag(network)
  for (let input = 0; input < INPUTS; input += 1) {
    const job = echoJob()
    await offerUntilReady(validator, job)
    const answer = validator.receive(job.offer.job_uuid, 'V0JobFailedRequest')
    const contents = randomBytes((INPUT_BYTES * 3) / 4).toString('base64')
    await validator.send({ ...job.work, volume: { volume_type: 'inline', contents } })
    await answer
  }
  return readLag(network)
}

/** Returns the event loop lag since the last call, in seconds. */
async function readLag({ adminUrl }: Network): Promise<{ p99: number; max: number }> {
  const metrics = await (await fetch(`${adminUrl}/metrics`)).text()
  const value = (name: string) =>
    Number(new RegExp(`^miner_nodejs_eventloop_lag_${name} (\\S+)`, 'm').exec(metrics)?.[1])
  return { p99: value('p99_seconds'), max: value('max_seconds') }
}
