/**
 * Many jobs at once on one miner whose executors all wait, beside as many plain `docker run`s at once. And what a miner
 * weighs with all these jobs open, and how long its event loop stalls while large inputs pass through it.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { TestValidator } from '@horde/testing/peers/validator'
import { echoJob, PlainRuns, timed } from './network/echo-job.ts'
import { type Network, startNetwork } from './network/network.ts'
import { connect, untilWaiting } from './through-miner.ts'

const MIB = 1024 * 1024
/** The inline input that is relayed, and how often. */
const INPUT_BYTES = 40 * MIB
const INPUTS = 5

/** Prints both. `crowd` is how many jobs there are at once. */
export async function benchCrowd(crowd: number): Promise<void> {
  const count = String(crowd)
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
  await untilWaiting(network, crowd)
  const idle = await miB(network)
  const engine = await timed(() => Promise.all(Array.from({ length: crowd }, () => plain.run())))
  const jobs = Array.from({ length: crowd }, () => echoJob())
  const ready = await timed(() => Promise.all(jobs.map(job => getReady(validator, job))))
  const open = await miB(network)
  const results = await timed(() => Promise.all(jobs.map(job => finish(validator, job))))
  const lag = await lagOfRelaying(network, validator)
  process.stdout.write(
    [
      `${crowd} at once`.padEnd(44),
      row('docker run of all, seconds', (engine / 1000).toFixed(1)),
      row('offers sent to all ready, seconds', (ready / 1000).toFixed(1)),
      row('work sent to all results, seconds', (results / 1000).toFixed(1)),
      row('offers sent to all results, to docker run', ((ready + results) / engine).toFixed(2)),
      row('miner at rest, MiB', idle.toFixed(0)),
      row(`miner with ${crowd} open jobs, MiB`, open.toFixed(0)),
      row(`event loop lag p99 at ${INPUT_BYTES / MIB} MiB inputs, ms`, (lag.p99 * 1000).toFixed(0)),
      row('the longest of it, ms', (lag.max * 1000).toFixed(0)),
      '',
    ].join('\n'),
  )
}

const row = (name: string, value: string) => `${name.padEnd(44)}${value.padStart(8)}`

async function getReady(validator: TestValidator, { offer }: ReturnType<typeof echoJob>): Promise<void> {
  const heard = validator.hear(offer.job_uuid, 'V0ExecutorReadyRequest')
  await validator.say(offer)
  await heard
}

async function finish(validator: TestValidator, { work }: ReturnType<typeof echoJob>): Promise<void> {
  const heard = validator.hear(work.job_uuid, 'V0JobFinishedRequest')
  await validator.say(work)
  await heard
}

/** The miner's own memory, its executors' not among it. */
async function miB({ miner }: Network): Promise<number> {
  const status = await readFile(`/proc/${miner.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024
}

/** Inputs that are no zips: their jobs fail once they have passed through, and need no more of the machine. */
async function lagOfRelaying(network: Network, validator: TestValidator): Promise<{ p99: number; max: number }> {
  await untilWaiting(network, 1)
  await lagOf(network)
  for (let input = 0; input < INPUTS; input += 1) {
    const job = echoJob()
    await getReady(validator, job)
    const heard = validator.hear(job.offer.job_uuid, 'V0JobFailedRequest')
    const contents = randomBytes((INPUT_BYTES * 3) / 4).toString('base64')
    await validator.say({ ...job.work, volume: { volume_type: 'inline', contents } })
    await heard
  }
  return lagOf(network)
}

/** Since the last time that somebody asked, in seconds. */
async function lagOf({ adminUrl }: Network): Promise<{ p99: number; max: number }> {
  const metrics = await (await fetch(`${adminUrl}/metrics`)).text()
  const value = (name: string) =>
    Number(new RegExp(`^miner_nodejs_eventloop_lag_${name} (\\S+)`, 'm').exec(metrics)?.[1])
  return { p99: value('p99_seconds'), max: value('max_seconds') }
}
