/** Stands between the engine and a registry, and is in the way. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A blob of more bytes is a layer, not the image's configuration. */
const LAYER_BYTES = 10_000

/** How slow layers come: a piece of so many bytes each so many ms. */
const PIECE_BYTES = 1_000
const PIECE_MS = 20

/**
 * pass: forward all. silent: never answer. slow: layers come in small pieces. without layers: deny that there are any.
 * other layers: other bytes of the same length.
 */
type Manner = 'pass' | 'silent' | 'slow' | 'without layers' | 'other layers'

export class RegistryProxy implements AsyncDisposable {
  manner: Manner = 'pass'
  /** Method and path of every request, in order. */
  readonly requests: string[] = []
  /** Requests that were not answered whole. */
  readonly open = new Set<string>()
  readonly #server: Server

  private constructor(registryPort: number) {
    this.#server = createServer((request, response) => this.#handle(request, response, registryPort))
  }

  static async start(registryPort: number): Promise<RegistryProxy> {
    const proxy = new RegistryProxy(registryPort)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  #handle(incoming: IncomingMessage, response: ServerResponse, port: number): void {
    const what = `${incoming.method} ${incoming.url}`
    this.requests.push(what)
    this.open.add(what)
    response.on('close', () => this.open.delete(what))
    if (this.manner === 'silent') return
    const { method, url: path, headers } = incoming
    const onward = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, answer => {
      this.#answer(incoming, answer, response)
    })
    onward.on('error', () => response.destroy())
    incoming.pipe(onward)
  }

  #answer({ method, url = '' }: IncomingMessage, answer: IncomingMessage, response: ServerResponse): void {
    const length = Number(answer.headers['content-length'])
    const isLayer = method === 'GET' && url.includes('/blobs/') && length > LAYER_BYTES
    if (!isLayer || this.manner === 'pass') {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
      return
    }
    answer.resume()
    if (this.manner === 'without layers') {
      response.writeHead(404, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ errors: [{ code: 'BLOB_UNKNOWN', message: 'blob unknown to registry' }] }))
      return
    }
    response.writeHead(answer.statusCode ?? 500, answer.headers)
    if (this.manner === 'other layers') response.end(Buffer.alloc(length))
    else trickle(length, response)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

/** Sends so many bytes, slowly, until it is no longer listened to. */
function trickle(length: number, response: ServerResponse): void {
  let left = length
  const timer = setInterval(() => {
    response.write(Buffer.alloc(Math.min(PIECE_BYTES, left)))
    left -= PIECE_BYTES
    if (left > 0) return
    clearInterval(timer)
    response.end()
  }, PIECE_MS)
  response.once('close', () => clearInterval(timer))
}
