/** The miner's side of a measurement: a loopback server that real executor processes dial. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type UpgradeRouter, upgradeRouter } from '@horde/kit/http'
import { silentLog } from '@horde/kit/log'
import { type Socket, wrapSocket } from '@horde/kit/socket'
import { withDeadline } from '@horde/kit/time'
import { LARGE_FRAME_BYTES, type Parsed } from '@horde/protocol/frame'
import { type ExecutorMessage, type MinerToExecutorMessage, parseFromExecutor } from '@horde/protocol/miner-executor'

const EXECUTOR = fileURLToPath(new URL('../packages/executor/src/start.js', import.meta.url))
/** How long one step may take, in milliseconds. */
export const STEP_MS = 60_000

export type ExecutorSocket = Socket<Parsed<ExecutorMessage>, MinerToExecutorMessage>

/** An executor that has just connected. */
export interface Arrival {
  process: ChildProcess
  socket: ExecutorSocket
  /** From the start of its process to its connection, in milliseconds. */
  connectedMs: number
  /** What it has logged so far. */
  log(): string
}

export class BenchMiner implements AsyncDisposable {
  readonly #server: Server
  readonly #router: UpgradeRouter
  /** What the executors remember, as on a host of their own. */
  readonly #stateFolder: string
  #arrived: ((socket: ExecutorSocket) => void) | undefined

  private constructor(server: Server, stateFolder: string) {
    this.#server = server
    this.#stateFolder = stateFolder
    this.#router = upgradeRouter(server, { log: silentLog, maxPayload: LARGE_FRAME_BYTES })
    this.#router.onUpgrade(/^\/v0\.1\/executor_interface\//, ws => {
      const options = { parse: parseFromExecutor, maxFrameBytes: LARGE_FRAME_BYTES, log: silentLog }
      this.#arrived?.(wrapSocket(ws, options))
    })
  }

  static async start(): Promise<BenchMiner> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new BenchMiner(server, await mkdtemp(join(tmpdir(), 'bench-state-')))
  }

  /** Starts an executor, with more settings, and waits until it is there; one at a time. */
  async startExecutor(more: Record<string, string> = {}): Promise<Arrival> {
    const { port } = this.#server.address() as AddressInfo
    const arrival = new Promise<ExecutorSocket>(resolve => {
      this.#arrived = resolve
    })
    const env = {
      PATH: process.env.PATH,
      MINER_ADDRESS: `ws://127.0.0.1:${port}`,
      EXECUTOR_TOKEN: `${randomUUID()}-${randomUUID()}`,
      STATE_FOLDER: this.#stateFolder,
      LOG_LEVEL: 'error',
      ...more,
    }
    const started = performance.now()
    const child = spawn(process.execPath, [EXECUTOR], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    let log = ''
    child.stdout.setEncoding('utf8').on('data', text => {
      log += text
    })
    const socket = await withDeadline(arrival, STEP_MS, 'executor')
    return { process: child, socket, connectedMs: performance.now() - started, log: () => log }
  }

  /** Starts one that is kept warm, and waits until all is done that can be before an offer. */
  async startWarmExecutor(more: Record<string, string> = {}): Promise<Arrival> {
    const arrival = await this.startExecutor({ PREPARE_AHEAD: 'true', LOG_LEVEL: 'info', ...more })
    await withDeadline(said(arrival, 'prepared ahead of the offer'), STEP_MS, 'preparing ahead')
    return arrival
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#router[Symbol.asyncDispose]()
    this.#server.close()
    await rm(this.#stateFolder, { recursive: true, force: true })
  }
}

async function said({ process: { stdout }, log }: Arrival, words: string): Promise<void> {
  while (!log().includes(words) && stdout) await once(stdout, 'data')
}
