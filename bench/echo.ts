/**
 * How long an `echo` job takes beside a plain `docker run` of the same image, alternating in one run, so that both meet
 * the same machine. Ready: from the executor's start, and from the prepare it hears, to its ready. Run: from the work
 * being sent to its result. Each once with an executor that was just started, and once with one that is prepared ahead.
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { withDeadline } from '@horde/kit/time'
import type { MinerToExecutorMessage } from '@horde/protocol/miner-executor'
import { jobUuid } from '@horde/protocol/primitives'
import { cpuOf, cpuOfChildren } from './cpu.ts'
import { type Arrival, BenchMiner, type ExecutorSocket, STEP_MS } from './miner.ts'
import { table } from './table.ts'

const IMAGE = 'compute-horde/echo:v0'
const PAYLOAD = 'hello payload'
/** A zip with payload.txt, which holds PAYLOAD. */
const INPUT_BASE64 =
  'UEsDBBQAAAAAAAxUdl3gLYzfDQAAAA0AAAALAAAAcGF5bG9hZC50eHRoZWxsbyBwYXlsb2FkUEsBAhQDFAAAAAAADFR2XeAtjN8NAAAADQAAAAsAAAAA' +
  'AAAAAAAAAIABAAAAAHBheWxvYWQudHh0UEsFBgAAAAABAAEAOQAAADYAAAAAAA=='

const run = promisify(execFile)
/** Milliseconds; `cpu` is the executor's own, from its offer to its exit. */
type Job = { connected: number; ready: number; run: number; cpu: number }
type Round = { docker: number; clientCpu: number; cold: Job; warm: Job }

/** Prints the table of an echo job. */
export async function benchEcho(rounds: number): Promise<void> {
  await using miner = await BenchMiner.start()
  const folder = await mkdtemp(join(tmpdir(), 'bench-'))
  // The image's user is not this one.
  await chmod(folder, 0o755)
  await writeFile(join(folder, 'payload.txt'), PAYLOAD, { mode: 0o644 })
  const measured: Round[] = []
  await oneRound(miner, folder)
  for (let round = 0; round < rounds; round += 1) measured.push(await oneRound(miner, folder))
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
  await rm(folder, { recursive: true })
}

async function oneRound(miner: BenchMiner, folder: string): Promise<Round> {
  const before = cpuOfChildren()
  const docker = await timed(() =>
    run('docker', ['run', '--rm', '--network', 'none', '-v', `${folder}:/volume:ro`, IMAGE]),
  )
  const clientCpu = cpuOfChildren() - before
  const cold = await oneJob(await miner.startExecutor())
  return { docker, clientCpu, cold, warm: await oneJob(await miner.startWarmExecutor()) }
}

async function oneJob({ process: child, socket, connectedMs: connected }: Arrival): Promise<Job> {
  const job_uuid = jobUuid.parse(randomUUID())
  const exited = once(child, 'exit')
  const [waiting, before] = [cpuOf(child.pid), cpuOfChildren()]
  const offer = { job_uuid, base_docker_image_name: IMAGE, timeout_seconds: 60, volume_type: 'inline' as const }
  const ready = await timed(() => ask(socket, { message_type: 'V0PrepareJobRequest', ...offer }, 'V0ReadyRequest'))
  const work = {
    job_uuid,
    docker_image_name: IMAGE,
    raw_script: null,
    docker_run_options_preset: 'none',
    docker_run_cmd: [],
    volume: { volume_type: 'inline' as const, contents: INPUT_BASE64 },
    output_upload: null,
  }
  const ran = await timed(() => ask(socket, { message_type: 'V0RunJobRequest', ...work }, 'V0FinishedRequest'))
  await withDeadline(exited, STEP_MS, 'executor exit')
  return { connected, ready, run: ran, cpu: cpuOfChildren() - before - waiting }
}

async function ask(socket: ExecutorSocket, message: MinerToExecutorMessage, answer: string): Promise<void> {
  await socket.say(message)
  const heard = await withDeadline(socket.hear(), STEP_MS, answer)
  const wrong = !heard?.ok || heard.message.message_type !== answer
  if (wrong) throw new Error(`heard ${JSON.stringify(heard)}`)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await work()
  return performance.now() - from
}
