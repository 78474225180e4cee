/**
 * How long an `echo` job takes beside a plain `docker run` of the same image, alternating in one run, so that both meet
 * the same machine. Ready: from the executor's start, and from the prepare it hears, to its ready. Run: from the work
 * being sent to its result. Command: `pnpm bench [rounds]`.
 */
import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { upgradeRouter } from '@horde/kit/http'
import { silentLog } from '@horde/kit/log'
import { type Socket, wrapSocket } from '@horde/kit/socket'
import { withDeadline } from '@horde/kit/time'
import { LARGE_FRAME_BYTES, type Parsed } from '@horde/protocol/frame'
import { type ExecutorMessage, type MinerToExecutorMessage, parseFromExecutor } from '@horde/protocol/miner-executor'
import { jobUuid } from '@horde/protocol/primitives'

const IMAGE = 'compute-horde/echo:v0'
const ROUNDS = 20
const PAYLOAD = 'hello payload'
/** A zip with payload.txt, which holds PAYLOAD. */
const INPUT_BASE64 =
  'UEsDBBQAAAAAAAxUdl3gLYzfDQAAAA0AAAALAAAAcGF5bG9hZC50eHRoZWxsbyBwYXlsb2FkUEsBAhQDFAAAAAAADFR2XeAtjN8NAAAADQAAAAsAAAAA' +
  'AAAAAAAAAIABAAAAAHBheWxvYWQudHh0UEsFBgAAAAABAAEAOQAAADYAAAAAAA=='
/** How long one step may take, in milliseconds. */
const STEP_MS = 60_000
const EXECUTOR = fileURLToPath(new URL('../packages/executor/src/main.ts', import.meta.url))

const run = promisify(execFile)
type ExecutorSocket = Socket<Parsed<ExecutorMessage>, MinerToExecutorMessage>
type Round = { docker: number; connected: number; ready: number; run: number }

async function main(rounds: number): Promise<void> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await using router = upgradeRouter(server, { log: silentLog, maxPayload: LARGE_FRAME_BYTES })
  const arrivals: ((socket: ExecutorSocket) => void)[] = []
  router.onUpgrade(/^\/v0\.1\/executor_interface\//, ws => {
    const options = { parse: parseFromExecutor, maxFrameBytes: LARGE_FRAME_BYTES, log: silentLog }
    arrivals.shift()?.(wrapSocket(ws, options))
  })
  const folder = await mkdtemp(join(tmpdir(), 'bench-'))
  // The image's user is not this one.
  await chmod(folder, 0o755)
  await writeFile(join(folder, 'payload.txt'), PAYLOAD, { mode: 0o644 })
  const measured: Round[] = []
  await oneRound(port, folder, arrivals)
  for (let round = 0; round < rounds; round += 1) measured.push(await oneRound(port, folder, arrivals))
  process.stdout.write(`${table(measured)}\n`)
  await rm(folder, { recursive: true })
  server.close()
}

async function oneRound(port: number, folder: string, arrivals: ((socket: ExecutorSocket) => void)[]): Promise<Round> {
  const docker = await timed(() =>
    run('docker', ['run', '--rm', '--network', 'none', '-v', `${folder}:/volume:ro`, IMAGE]),
  )
  const job_uuid = jobUuid.parse(randomUUID())
  const token = `${job_uuid}-${randomUUID()}`
  const arrival = new Promise<ExecutorSocket>(resolve => arrivals.push(resolve))
  const started = performance.now()
  const env = {
    PATH: process.env.PATH,
    MINER_ADDRESS: `ws://127.0.0.1:${port}`,
    EXECUTOR_TOKEN: token,
    LOG_LEVEL: 'error',
  }
  const child = spawn(process.execPath, [EXECUTOR], { env, stdio: ['ignore', 'inherit', 'inherit'] })
  const exited = once(child, 'exit')
  const socket = await withDeadline(arrival, STEP_MS, 'executor')
  const connected = performance.now() - started
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
  return { docker, connected, ready, run: ran }
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

function table(rounds: readonly Round[]): string {
  const base = median(rounds.map(({ docker }) => docker))
  const line = (name: string, pick: (round: Round) => number) => {
    const values = rounds.map(pick)
    const middle = median(values)
    const numbers = [Math.min(...values), middle, Math.max(...values)].map(ms => ms.toFixed(0).padStart(6))
    return `${name.padEnd(34)}${numbers.join('')}${(middle / base).toFixed(2).padStart(8)}`
  }
  return [
    `${'milliseconds'.padEnd(34)}   min   med   max   ratio`,
    line('docker run --rm --network none', round => round.docker),
    line('executor start to connected', round => round.connected),
    line('prepare sent to ready heard', round => round.ready),
    line('start to ready, a cold executor', round => round.connected + round.ready),
    line('run sent to result heard', round => round.run),
  ].join('\n')
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

await main(Number(process.argv[2] ?? ROUNDS))
