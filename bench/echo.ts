/**
 * Measures how long an `echo` job takes on an executor, compared with a plain `docker run` of the same image. They
 * alternate, so that both meet the same load. Each round runs one job on a cold executor, which was just started, and
 * one on a warm executor, which is prepared ahead.
 */
import { once } from 'node:events'
import { withDeadline } from '@horde/kit/time'
import type { MinerToExecutorMessage } from '@horde/protocol/v0/miner-executor'
import { type Connection, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { cpuOf, cpuOfChildren } from './cpu.ts'
import { echoJob, PlainRuns, timed } from './network/echo-job.ts'
import { type ConnectedExecutor, STEP_MS, startExecutor, startWarmExecutor } from './start-executor.ts'
import { table } from './table.ts'

/** In ms. `cpu` is the executor's processor time from its offer to its exit. */
type Job = { connected: number; ready: number; run: number; cpu: number }
type Round = { docker: number; clientCpu: number; cold: Job; warm: Job }

/** Prints the tables of an echo job. */
export async function benchEcho(rounds: number): Promise<void> {
  await using miner = await TestMiner.start()
  await using plain = await PlainRuns.open()
  const measured: Round[] = []
  await oneRound(miner, plain)
  for (let round = 0; round < rounds; round += 1) measured.push(await oneRound(miner, plain))
  const rows = [
    { name: 'docker run --rm --network none', values: measured.map(round => round.docker) },
    { name: 'cold executor: start to connected', values: measured.map(({ cold }) => cold.connected) },
    { name: 'cold executor: offer to ready', values: measured.map(({ cold }) => cold.ready) },
    { name: 'cold executor: start to ready', values: measured.map(({ cold }) => cold.connected + cold.ready) },
    { name: 'cold executor: work to result', values: measured.map(({ cold }) => cold.run) },
    { name: 'warm executor: offer to ready', values: measured.map(({ warm }) => warm.ready) },
    { name: 'warm executor: work to result', values: measured.map(({ warm }) => warm.run) },
  ]
  const cpuRows = [
    { name: 'docker run, its client', values: measured.map(round => round.clientCpu) },
    { name: 'cold executor: offer to exit', values: measured.map(({ cold }) => cold.cpu) },
    { name: 'warm executor: offer to exit', values: measured.map(({ warm }) => warm.cpu) },
  ]
  process.stdout.write(`${table('milliseconds', rows)}\n\n${table('milliseconds of CPU time', cpuRows)}\n`)
}

async function oneRound(miner: TestMiner, plain: PlainRuns): Promise<Round> {
  const before = cpuOfChildren()
  const docker = await timed(() => plain.run())
  const clientCpu = cpuOfChildren() - before
  const cold = await oneJob(await startExecutor(miner))
  return { docker, clientCpu, cold, warm: await oneJob(await startWarmExecutor(miner)) }
}

async function oneJob({ process: child, socket, connectedMs: connected }: ConnectedExecutor): Promise<Job> {
  const { offer, work } = echoJob()
  const exited = once(child, 'exit')
  const [waiting, before] = [cpuOf(child.pid), cpuOfChildren()]
  const ready = await timed(() => exchange(socket, { ...offer, message_type: 'V0PrepareJobRequest' }, 'V0ReadyRequest'))
  const ran = await timed(() => exchange(socket, { ...work, message_type: 'V0RunJobRequest' }, 'V0FinishedRequest'))
  await withDeadline(exited, STEP_MS, 'executor exit')
  return { connected, ready, run: ran, cpu: cpuOfChildren() - before - waiting }
}

/** Sends a message, and waits for an answer of this type. */
async function exchange(socket: Connection, message: MinerToExecutorMessage, answer: string): Promise<void> {
  await socket.send(message)
  const received = await withDeadline(socket.receive(), STEP_MS, answer)
  const isRight = received?.ok && received.message.message_type === answer
  if (!isRight) throw new Error(`expected ${answer}, received ${JSON.stringify(received)}`)
}
