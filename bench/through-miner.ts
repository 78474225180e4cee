/**
 * Measures an `echo` job from a validator's offer to its result, through a real miner with warm executors, compared
 * with a plain `docker run` of the same image. The two alternate.
 */
import { systemClock } from '@horde/kit/time'
import { TestValidator } from '@horde/testing/peers/validator'
import { echoJob, PlainRuns, timed } from './network/echo-job.ts'
import { type Network, startNetwork } from './network/network.ts'
import { table } from './table.ts'

const POLL_MS = 50

type Round = { docker: number; ready: number; result: number }

/** Prints the table of jobs through a miner. */
export async function benchThroughMiner(rounds: number): Promise<void> {
  const settings = { EXECUTOR_COUNT: '2', EXECUTOR_WARM_COUNT: '1', LOG_LEVEL: 'error' }
  await using network = await startNetwork({ validators: 1, postgres: false, settings })
  network.miner.start()
  await using validator = await connect(network)
  await using plain = await PlainRuns.open()
  const measured: Round[] = []
  await oneRound(network, validator, plain)
  for (let round = 0; round < rounds; round += 1) measured.push(await oneRound(network, validator, plain))
  const rows = [
    { name: 'docker run --rm --network none', values: measured.map(round => round.docker) },
    { name: 'offer sent to ready received', values: measured.map(round => round.ready) },
    { name: 'work sent to result received', values: measured.map(round => round.result) },
  ]
  process.stdout.write(`${table('milliseconds', rows)}\n`)
}

export function connect({ address, validators, minerHotkey }: Network): Promise<TestValidator> {
  const [key] = validators
  if (!key) throw new Error('a network without a validator')
  return TestValidator.connect(address, key, minerHotkey)
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

async function oneRound(network: Network, validator: TestValidator, plain: PlainRuns): Promise<Round> {
  await untilWarm(network, 1)
  const docker = await timed(() => plain.run())
  const { offer, work } = echoJob()
  const ready = await timed(async () => {
    const answer = validator.receive(offer.job_uuid, 'V0ExecutorReadyRequest')
    await validator.send(offer)
    await answer
  })
  const result = await timed(async () => {
    const answer = validator.receive(offer.job_uuid, 'V0JobFinishedRequest')
    await validator.send(work)
    await answer
  })
  return { docker, ready, result }
}
