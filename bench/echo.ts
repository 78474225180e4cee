/**
 * Measures how long an `echo` job takes on an executor, compared with a plain `docker run` of the same image. They
 * alternate, so that both meet the same load. Each round runs one job on a cold executor, which was just started, and
 * one on a warm executor, which is prepared ahead, in each dialect.
 */
import { once } from 'node:events'
import { withDeadline } from '@horde/kit/time'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import type { parseFromExecutor as parseOfV0 } from '@horde/protocol/v0/miner-executor'
import { parseFromExecutor as parseOf2026 } from '@horde/protocol/v2026/miner-executor'
import { type Connection, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { cpuOf, cpuOfChildren } from './cpu.ts'
import { echoJob, echoJob2026, PlainRuns, timed } from './network/echo-job.ts'
import { type ConnectedExecutor, STEP_MS, startExecutor, startWarmExecutor } from './start-executor.ts'
import { table } from './table.ts'

/** In ms. `cpu` is the executor's processor time from its offer to its exit. */
type Job = { connected: number; ready: number; run: number; cpu: number }
type Jobs = { cold: Job; warm: Job }
type Round = { docker: number; clientCpu: number; jobs: Jobs[] }

/** Prints the tables of an echo job. */
export async function benchEcho(rounds: number, dialects: readonly Dialect[]): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const plain = stack.use(await PlainRuns.open())
  const miners: { dialect: Dialect; miner: TestMiner }[] = []
  for (const dialect of dialects) miners.push({ dialect, miner: stack.use(await startMiner(dialect)) })
  const oneRound = async (): Promise<Round> => {
    const before = cpuOfChildren()
    const docker = await timed(() => plain.run())
    const clientCpu = cpuOfChildren() - before
    const jobs: Jobs[] = []
    for (const { dialect, miner } of miners) {
      const cold = await oneJob(await startExecutor(miner), dialect)
      jobs.push({ cold, warm: await oneJob(await startWarmExecutor(miner), dialect) })
    }
    return { docker, clientCpu, jobs }
  }
  const measured: Round[] = []
  await oneRound()
  for (let round = 0; round < rounds; round += 1) measured.push(await oneRound())
  const valuesOf = (at: number, value: (jobs: Jobs) => number) =>
    measured.flatMap(({ jobs }) => jobs.slice(at, at + 1).map(value))
  const rowsOf = (dialect: Dialect, at: number) => [
    { name: `${dialect}, cold: start to connected`, values: valuesOf(at, ({ cold }) => cold.connected) },
    { name: `${dialect}, cold: offer to ready`, values: valuesOf(at, ({ cold }) => cold.ready) },
    { name: `${dialect}, cold: start to ready`, values: valuesOf(at, ({ cold }) => cold.connected + cold.ready) },
    { name: `${dialect}, cold: work to result`, values: valuesOf(at, ({ cold }) => cold.run) },
    { name: `${dialect}, warm: offer to ready`, values: valuesOf(at, ({ warm }) => warm.ready) },
    { name: `${dialect}, warm: work to result`, values: valuesOf(at, ({ warm }) => warm.run) },
  ]
  const cpuRowsOf = (dialect: Dialect, at: number) => [
    { name: `${dialect}, cold: offer to exit`, values: valuesOf(at, ({ cold }) => cold.cpu) },
    { name: `${dialect}, warm: offer to exit`, values: valuesOf(at, ({ warm }) => warm.cpu) },
  ]
  const docker = { name: 'docker run --rm --network none', values: measured.map(round => round.docker) }
  const client = { name: 'docker run, its client', values: measured.map(round => round.clientCpu) }
  const times = table('milliseconds', [docker, ...dialects.flatMap(rowsOf)])
  const cpu = table('milliseconds of CPU time', [client, ...dialects.flatMap(cpuRowsOf)])
  process.stdout.write(`${times}\n\n${cpu}\n`)
}

function startMiner(dialect: Dialect): Promise<TestMiner> {
  return dialect === 'v0' ? TestMiner.start() : TestMiner.start(0, parseOf2026 as typeof parseOfV0)
}

async function oneJob(
  { process: child, socket, connectedMs: connected }: ConnectedExecutor,
  dialect: Dialect,
): Promise<Job> {
  const { offer, work, ready: readyType, result } = MESSAGES[dialect]()
  const exited = once(child, 'exit')
  const [waiting, before] = [cpuOf(child.pid), cpuOfChildren()]
  const ready = await timed(() => exchange(socket, offer, readyType))
  const ran = await timed(() => exchange(socket, work, result))
  await withDeadline(exited, STEP_MS, 'executor exit')
  return { connected, ready, run: ran, cpu: cpuOfChildren() - before - waiting }
}

/** A new job of each dialect: its offer and its work, and the types of their answers. */
const MESSAGES: Record<Dialect, () => { offer: object; work: object; ready: string; result: string }> = {
  v0: () => {
    const { offer, work } = echoJob()
    return {
      offer: { ...offer, message_type: 'V0PrepareJobRequest' },
      work: { ...work, message_type: 'V0RunJobRequest' },
      ...{ ready: 'V0ReadyRequest', result: 'V0FinishedRequest' },
    }
  },
  v2026: () => ({ ...echoJob2026(), ready: 'V0ExecutorReadyRequest', result: 'V0JobFinishedRequest' }),
}

/** What an executor of v2026 reports before its result. */
const STAGES = ['V0VolumesReadyRequest', 'V0ExecutionDoneRequest']

/** Sends a message, and waits for an answer of this type. */
async function exchange(socket: Connection, message: object, answer: string): Promise<void> {
  await socket.send(message)
  for (;;) {
    const received = await withDeadline(socket.receive(), STEP_MS, answer)
    const type: string | undefined = received?.ok ? received.message.message_type : undefined
    if (type === answer) return
    if (type === undefined || !STAGES.includes(type))
      throw new Error(`expected ${answer}, received ${JSON.stringify(received)}`)
  }
}
