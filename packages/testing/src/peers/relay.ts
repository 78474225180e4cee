/** A TCP relay in front of a server. A test can freeze and cut its connections, as networks do. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

const LOOPBACK = '127.0.0.1'

interface RelayedConnection {
  client: Socket
  server: Socket
}

export interface RelayOptions {
  /** Where the server listens; default: 127.0.0.1. */
  host?: string
  /**
   * Whether the end of one side ends the other, as without a relay; default: true. When false, the server does not
   * notice a client's reset, as when a network drops it.
   */
  passesEndsOn?: boolean
}

export class Relay implements AsyncDisposable {
  readonly #server: Server
  readonly #connections = new Set<RelayedConnection>()

  private constructor(port: number, { host = LOOPBACK, passesEndsOn = true }: RelayOptions) {
    this.#server = createServer(client => this.#join({ client, server: connect({ host, port }) }, passesEndsOn))
  }

  /** @param port where the server listens */
  static async start(port: number, options: RelayOptions = {}): Promise<Relay> {
    const relay = new Relay(port, options)
    relay.#server.listen(0, LOOPBACK)
    await once(relay.#server, 'listening')
    return relay
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** host:port */
  get address(): string {
    return `${LOOPBACK}:${this.port}`
  }

  /** For peers that dial a WebSocket. */
  get url(): string {
    return `ws://${this.address}`
  }

  /** From now on holds back what the server sends, while the kernel keeps accepting it. */
  freeze(): void {
    for (const { server } of this.#connections) server.unpipe().pause()
  }

  /** Ends all connections without a close frame. */
  cut(): void {
    this.cutClients()
    this.cutServers()
  }

  /** Ends the clients' side of all connections. */
  cutClients(): void {
    for (const { client } of this.#connections) client.destroy()
  }

  /** Ends the server's side of all connections. */
  cutServers(): void {
    for (const { server } of this.#connections) server.destroy()
  }

  /** Cuts one of the connections, if there is one. `pick` is from 0 up to, but not including, 1. */
  cutOne(pick: number): boolean {
    const connection = [...this.#connections][Math.floor(pick * this.#connections.size)]
    connection?.client.destroy()
    return connection !== undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #join(connection: RelayedConnection, passesEndsOn: boolean): void {
    const { client, server } = connection
    this.#connections.add(connection)
    client.pipe(server, { end: passesEndsOn })
    server.pipe(client, { end: passesEndsOn })
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('error', () => {})
      from.on('close', () => {
        if (passesEndsOn) to.destroy()
        if (client.destroyed && server.destroyed) this.#connections.delete(connection)
      })
    }
  }
}
