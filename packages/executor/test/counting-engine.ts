/** The machine's engine behind a socket of a test's own, which counts what it is asked, and can go away. */
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'

const SOCKET = '/var/run/docker.sock'

export class CountingEngine implements AsyncDisposable {
  readonly dockerHost: string
  /** How often it was asked about itself. */
  questions = 0
  readonly #path: string
  readonly #open = new Set<Socket>()
  #server: Server | undefined

  constructor(folder: string) {
    this.#path = join(folder, 'counting.sock')
    this.dockerHost = `unix://${this.#path}`
  }

  static async start(folder: string): Promise<CountingEngine> {
    const engine = new CountingEngine(folder)
    await engine.listen()
    return engine
  }

  async listen(): Promise<void> {
    this.#server = createServer(client => {
      const engine = connect(SOCKET)
      client.on('data', bytes => {
        if (bytes.toString('latin1').startsWith('GET /info')) this.questions += 1
      })
      client.pipe(engine).pipe(client)
      for (const socket of [client, engine]) {
        this.#open.add(socket)
        socket.on('error', () => {}).on('close', () => this.#open.delete(socket))
      }
    })
    this.#server.listen(this.#path)
    await once(this.#server, 'listening')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy()
    await new Promise<unknown>(resolve => (this.#server ? this.#server.close(resolve) : resolve(undefined)))
    await rm(this.#path, { force: true })
  }
}
