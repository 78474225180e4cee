/** A small web server on loopback for inputs and outputs. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export class TestWeb implements AsyncDisposable {
  readonly #server: Server
  /** Method and path of every request, in order. */
  readonly requests: string[] = []

  private constructor(handler: RequestListener) {
    this.#server = createServer((request, response) => {
      this.requests.push(`${request.method} ${request.url}`)
      handler(request, response)
    })
  }

  static async start(handler: RequestListener): Promise<TestWeb> {
    const web = new TestWeb(handler)
    web.#server.listen(0, '127.0.0.1')
    await once(web.#server, 'listening')
    return web
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  url(path: string, host = '127.0.0.1'): string {
    return `http://${host}:${this.port}${path}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
