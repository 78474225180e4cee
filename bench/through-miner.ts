/**
 * Measures an `echo` job from a validator's offer to its result, through a real miner with warm executors, compared
 * with a plain `docker run` of the same image. The two alternate.
 */
import { systemClock } from '@horde/kit/time'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import { PlainRuns, timed } from './network/echo-job.ts'
import { BenchValidator } from './network/miner-job.ts'
import { type Network, startNetwork } from './network/network.ts'
import { table } from './table.ts'

const POLL_MS = 50

/** In ms. `opened`: from dialling to the miner's manifest; only in v2026 does each job have a connection of its own. */
type Times = { opened: number; ready: number; result: number }
type Round = { docker: number[]; jobs: Times[] }

/** Prints the table of jobs through a miner. Each round has a job of each dialect. */
export async function benchThroughMiner(rounds: number, dialects: readonly Dialect[]): Promise<void> {
  const settings = { EXECUTOR_COUNT: '2', EXECUTOR_WARM_COUNT: '1', LOG_LEVEL: 'error' }
  await using network = await startNetwork({ validators: 1, postgres: false, settings })
  network.miner.start()
  await using validator = await BenchValidator.connect(network)
  await using plain = await PlainRuns.open()
  const oneRound = async (): Promise<Round> => {
    const round: Round = { docker: [], jobs: [] }
    for (const dialect of dialects) {
      // A warm executor that is new still prepares. The plain run gives both dialects the same time for that.
      await untilWarm(network, 1)
      round.docker.push(await timed(() => plain.run()))
      round.jobs.push(await timesOf(validator, dialect))
    }
    return round
  }
  const measured: Round[] = []
  await oneRound()
  for (let round = 0; round < rounds; round += 1) measured.push(await oneRound())
  const rowsOf = (dialect: Dialect, at: number) => {
    const times = measured.flatMap(({ jobs }) => jobs[at] ?? [])
    const opened = { name: `${dialect}: dialled to manifest received`, values: times.map(each => each.opened) }
    return [
      ...(dialect === 'v0' ? [] : [opened]),
      { name: `${dialect}: offer sent to ready received`, values: times.map(each => each.ready) },
      { name: `${dialect}: work sent to result received`, values: times.map(each => each.result) },
    ]
  }
  const docker = { name: 'docker run --rm --network none', values: measured.flatMap(round => round.docker) }
  process.stdout.write(`${table('milliseconds', [docker, ...dialects.flatMap(rowsOf)])}\n`)
}

async function timesOf(validator: BenchValidator, dialect: Dialect): Promise<Times> {
  const from = performance.now()
  await using job = await validator.open(dialect)
  const opened = performance.now() - from
  return { opened, ready: await timed(() => job.prepare()), result: await timed(() => job.run()) }
}

/** Resolves once `count` warm executors wait for a job, and none is starting or busy. */
export async function untilWarm({ adminUrl }: Network, count: number): Promise<void> {
  for (;;) {
    const status = (await (await fetch(`${adminUrl}/status.json`)).json()) as Status
    const ready = status.horde.reduce((sum, { warm }) => sum + warm.ready, 0)
    const isQuiet = status.horde.every(({ taken, warm }) => taken === 0 && warm.starting === 0)
    if (ready >= count && isQuiet) return
    await systemClock.sleep(POLL_MS)
  }
}

type Status = { horde: { taken: number; warm: { ready: number; starting: number } }[] }
