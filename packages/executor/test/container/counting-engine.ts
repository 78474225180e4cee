/** A proxy in front of an engine that counts requests, shows them to the test, and can go away. */
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

const SOCKET = '/var/run/docker.sock'

interface EngineOptions {
  /** Default: the machine's engine. */
  socket?: string
  /** Gets the first line of each request that arrives in one piece. The request is passed on when this resolves. */
  onRequest?(request: string): Promise<void> | void
}

export class CountingEngine implements AsyncDisposable {
  readonly dockerHost: string
  /** How often it was asked about itself. */
  questions = 0
  readonly #options: EngineOptions
  readonly #path: string
  readonly #open = new Set<Socket>()
  #server: Server | undefined

  constructor(folder: string, options: EngineOptions = {}) {
    this.#options = options
    this.#path = join(folder, 'counting.sock')
    this.dockerHost = `unix://${this.#path}`
  }

  static async start(folder: string, options: EngineOptions = {}): Promise<CountingEngine> {
    const engine = new CountingEngine(folder, options)
    await engine.listen()
    return engine
  }

  async listen(): Promise<void> {
    this.#server = createServer(client => {
      const engine = connect(this.#options.socket ?? SOCKET)
      pipeline(client, source => this.#passOn(source), engine).catch(() => {})
      engine.pipe(client)
      for (const socket of [client, engine]) {
        this.#open.add(socket)
        socket.on('error', () => {}).on('close', () => this.#open.delete(socket))
      }
    })
    this.#server.listen(this.#path)
    await once(this.#server, 'listening')
  }

  async *#passOn(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const bytes of source) {
      const [request = ''] = bytes.toString('latin1').split('\r\n', 1)
      if (request.startsWith('GET /info')) this.questions += 1
      await this.#options.onRequest?.(request)
      yield bytes
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy()
    await new Promise<unknown>(resolve => (this.#server ? this.#server.close(resolve) : resolve(undefined)))
    await rm(this.#path, { force: true })
  }
}
