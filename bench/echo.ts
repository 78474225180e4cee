/**
 * How long an `echo` job takes beside a plain `docker run` of the same image, alternating in one run, so that both meet
 * the same machine. Ready: from the executor's start, and from the prepare it hears, to its ready. Run: from the work
 * being sent to its result. Each once with an executor that was just started, and once with one that is prepared ahead.
 */
import { once } from 'node:events'
import { withDeadline } from '@horde/kit/time'
import type { MinerToExecutorMessage } from '@horde/protocol/miner-executor'
import { type Connection, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { cpuOf, cpuOfChildren } from './cpu.ts'
import { type Arrival, STEP_MS, startExecutor, startWarmExecutor } from './miner.ts'
import { echoJob, PlainRuns, timed } from './network/echo-job.ts'
import { table } from './table.ts'

/** Milliseconds; `cpu` is the executor's own, from its offer to its exit. */
type Job = { connected: number; ready: number; run: number; cpu: number }
type Round = { docker: number; clientCpu: number; cold: Job; warm: Job }

/** Prints the table of an echo job. */
export async function benchEcho(rounds: number): Promise<void> {
  await using miner = await TestMiner.start()
  await using plain = await PlainRuns.open()
  const measured: Round[] = []
  await oneRound(miner, plain)
  for (let round = 0; round < rounds; round += 1) measured.push(await oneRound(miner, plain))
  const rows = [
    { name: 'docker run --rm --network none', values: measured.map(round => round.docker) },
    { name: 'executor start to connected', values: measured.map(({ cold }) => cold.connected) },
    { name: 'prepare sent to ready heard', values: measured.map(({ cold }) => cold.ready) },
    { name: 'start to ready, a cold executor', values: measured.map(({ cold }) => cold.connected + cold.ready) },
    { name: 'run sent to result heard', values: measured.map(({ cold }) => cold.run) },
    { name: 'prepare sent to ready heard, warm', values: measured.map(({ warm }) => warm.ready) },
    { name: 'run sent to result heard, warm', values: measured.map(({ warm }) => warm.run) },
  ]
  const cpuRows = [
    { name: 'the client of docker run', values: measured.map(round => round.clientCpu) },
    { name: 'executor, offer to exit', values: measured.map(({ cold }) => cold.cpu) },
    { name: 'the same, prepared ahead', values: measured.map(({ warm }) => warm.cpu) },
  ]
  process.stdout.write(`${table('milliseconds', rows)}\n\n${table('milliseconds of processor', cpuRows)}\n`)
}

async function oneRound(miner: TestMiner, plain: PlainRuns): Promise<Round> {
  const before = cpuOfChildren()
  const docker = await timed(() => plain.run())
  const clientCpu = cpuOfChildren() - before
  const cold = await oneJob(await startExecutor(miner))
  return { docker, clientCpu, cold, warm: await oneJob(await startWarmExecutor(miner)) }
}

async function oneJob({ process: child, socket, connectedMs: connected }: Arrival): Promise<Job> {
  const { offer, work } = echoJob()
  const exited = once(child, 'exit')
  const [waiting, before] = [cpuOf(child.pid), cpuOfChildren()]
  const ready = await timed(() => ask(socket, { ...offer, message_type: 'V0PrepareJobRequest' }, 'V0ReadyRequest'))
  const ran = await timed(() => ask(socket, { ...work, message_type: 'V0RunJobRequest' }, 'V0FinishedRequest'))
  await withDeadline(exited, STEP_MS, 'executor exit')
  return { connected, ready, run: ran, cpu: cpuOfChildren() - before - waiting }
}

async function ask(socket: Connection, message: MinerToExecutorMessage, answer: string): Promise<void> {
  await socket.say(message)
  const heard = await withDeadline(socket.hear(), STEP_MS, answer)
  const wrong = !heard?.ok || heard.message.message_type !== answer
  if (wrong) throw new Error(`heard ${JSON.stringify(heard)}`)
}
