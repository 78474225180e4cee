/** A miner for tests: a real WebSocket server that real executor processes connect to. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { silentLog } from '@horde/kit/log'
import { type Socket, wrapSocket } from '@horde/kit/socket'
import { withDeadline } from '@horde/kit/time'
import { EXECUTOR_PATH } from '@horde/protocol/executor/address'
import { LARGE_FRAME_BYTES, type Parsed } from '@horde/protocol/frame'
import { type ExecutorMessage, parseFromExecutor } from '@horde/protocol/v0/miner-executor'
import { WebSocketServer } from 'ws'
import { WAIT_MS } from '../limits.ts'

const MAIN = fileURLToPath(new URL('../../../executor/src/start.js', import.meta.url))

type MessageOf<T extends ExecutorMessage['message_type']> = Extract<ExecutorMessage, { message_type: T }>
type Parse = (frame: string | Uint8Array) => Parsed<ExecutorMessage>
export type Connection = Socket<Parsed<ExecutorMessage>, unknown>

export class TestMiner implements AsyncDisposable {
  /** The state folder of its executors. It is removed with the miner. */
  readonly stateFolder: string
  readonly #server: Server
  readonly #sockets: WebSocketServer
  readonly #arrivals: { token: string; connection: Connection }[] = []
  readonly #waiting: (() => void)[] = []
  readonly #executors: TestExecutor[] = []

  private constructor(server: Server, stateFolder: string, parse: Parse) {
    this.#server = server
    this.stateFolder = stateFolder
    this.#sockets = new WebSocketServer({ server, maxPayload: LARGE_FRAME_BYTES })
    this.#sockets.on('connection', (ws, request) => {
      const connection: Connection = wrapSocket(ws, {
        parse,
        maxFrameBytes: LARGE_FRAME_BYTES,
        log: silentLog,
      })
      this.#arrivals.push({ token: (request.url ?? '').replace(EXECUTOR_PATH, ''), connection })
      for (const wake of this.#waiting.splice(0)) wake()
    })
  }

  /** @param parse reads what executors send. Connections are typed as for v0. */
  static async start(port = 0, parse: Parse = parseFromExecutor): Promise<TestMiner> {
    const server = createServer((_, response) => response.writeHead(404).end())
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return new TestMiner(server, await mkdtemp(join(tmpdir(), 'executor-state-')), parse)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /**
   * Starts an executor process for a token.
   *
   * @param args the command line that a miner gives its executor's image
   */
  spawn(
    env: Record<string, string> = {},
    token = `${randomUUID()}-${randomUUID()}`,
    args: readonly string[] = [],
  ): TestExecutor {
    const defaults = { MINER_ADDRESS: `ws://127.0.0.1:${this.port}`, STATE_FOLDER: this.stateFolder }
    const executor = new TestExecutor(this, token, { ...defaults, ...env }, args)
    this.#executors.push(executor)
    return executor
  }

  /**
   * Returns the next connection with a token. Rejects after `WAIT_MS`, or when `ended`, the executor's end, comes
   * first.
   */
  async arrival(token: string, ended?: Promise<unknown>): Promise<Connection> {
    const search = async () => {
      for (;;) {
        const index = this.#arrivals.findIndex(arrival => arrival.token === token)
        const [arrival] = index < 0 ? [] : this.#arrivals.splice(index, 1)
        if (arrival) return arrival.connection
        await new Promise<void>(resolve => this.#waiting.push(resolve))
      }
    }
    const failed = ended?.then(how => Promise.reject(new Error(`the executor ended (${how}) without a connection`)))
    return withDeadline(Promise.race([search(), ...(failed ? [failed] : [])]), WAIT_MS, 'waiting for an executor')
  }

  /** Stops listening, and cuts every connection without a close frame. */
  async vanish(): Promise<void> {
    for (const client of this.#sockets.clients) client.terminate()
    this.#sockets.close()
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#executors.map(executor => executor.kill()))
    await this.vanish()
    await rm(this.stateFolder, { recursive: true, force: true })
  }
}

export class TestExecutor {
  readonly token: string
  readonly process: ChildProcess
  /** Its exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>
  readonly #miner: TestMiner
  #log = ''

  constructor(miner: TestMiner, token: string, env: Record<string, string>, args: readonly string[]) {
    this.token = token
    this.#miner = miner
    this.process = spawn(process.execPath, [MAIN, ...args], {
      env: { PATH: process.env.PATH, EXECUTOR_TOKEN: token, PYTHON_IMAGE: 'compute-horde/python:3.11', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', text => {
        this.#log += text
      })
    }
    this.exited = once(this.process, 'close').then(([code, signal]) => code ?? signal)
  }

  /** Everything that it has written so far. */
  get log(): string {
    return this.#log
  }

  connection(): Promise<Connection> {
    return this.#miner.arrival(this.token, this.exited)
  }

  async kill(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill('SIGKILL')
    await this.exited
  }

  /** Resolves to its exit code or signal. Rejects after `WAIT_MS`. */
  exit(): Promise<number | string> {
    return withDeadline(this.exited, WAIT_MS, 'waiting for an executor to exit')
  }
}

/** Returns the next message. Rejects when it is not of this type. */
export async function receive<T extends ExecutorMessage['message_type']>(
  connection: Connection,
  type: T,
): Promise<MessageOf<T>> {
  const parsed = await withDeadline(connection.receive(), WAIT_MS, `waiting for ${type}`)
  if (!parsed?.ok) throw new Error(`expected ${type}, received ${parsed ? parsed.error.message : 'nothing more'}`)
  if (parsed.message.message_type !== type)
    throw new Error(`expected ${type}, received ${JSON.stringify(parsed.message)}`)
  return parsed.message as MessageOf<T>
}
