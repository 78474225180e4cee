/** A line to the miner that can be cut at any byte. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class Relay implements AsyncDisposable {
  readonly #server: Server
  readonly #lines = new Set<Socket>()

  private constructor(port: number) {
    this.#server = createServer(client => this.#join(client, port))
  }

  /** @param port of the miner, on loopback */
  static async start(port: number): Promise<Relay> {
    const relay = new Relay(port)
    relay.#server.listen(0, '127.0.0.1')
    await once(relay.#server, 'listening')
    return relay
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Cuts one of the connections, if there is one. `pick` is from 0 up to, but not including, 1. */
  cutOne(pick: number): boolean {
    const line = [...this.#lines][Math.floor(pick * this.#lines.size)]
    line?.destroy()
    return line !== undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const line of this.#lines) line.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #join(client: Socket, port: number): void {
    const miner = connect(port, '127.0.0.1')
    this.#lines.add(client)
    client.pipe(miner)
    miner.pipe(client)
    const end = () => {
      this.#lines.delete(client)
      client.destroy()
      miner.destroy()
    }
    for (const side of [client, miner]) side.on('error', end).on('close', end)
  }
}
