import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import { type Answerer, answer } from './answer.ts'
import { serveConnection } from './connection.ts'

/** The largest request in bytes. Substrate's default. */
const MAX_REQUEST_BYTES = 15 * 1024 * 1024

/** How long connections may take to close, in ms. */
const GOODBYE_MS = 1000

export interface RpcServer extends AsyncDisposable {
  port: number
}

export interface ListenOptions {
  host: string
  /** The TCP port; 0 takes any free one. */
  port: number
}

/** Serves JSON-RPC over WebSocket and plain HTTP POST on one port. */
export async function startServer(answerer: Answerer, { host, port }: ListenOptions): Promise<RpcServer> {
  const http = createServer((request, response) => void answerHttp(request, response, answerer))
  const sockets = new WebSocketServer({ server: http, maxPayload: MAX_REQUEST_BYTES, perMessageDeflate: false })
  sockets.on('connection', socket => serveConnection(socket, answerer))
  // The WebSocket server repeats errors of the HTTP server, which are handled there.
  sockets.on('error', () => {})
  http.listen(port, host)
  await once(http, 'listening')
  return {
    port: (http.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => close(http, sockets),
  }
}

async function close(http: Server, sockets: WebSocketServer): Promise<void> {
  for (const socket of sockets.clients) socket.close(1001, 'the chain stops')
  const last = setTimeout(() => {
    for (const socket of sockets.clients) socket.terminate()
    http.closeAllConnections()
  }, GOODBYE_MS)
  const closed = once(http, 'close')
  sockets.close()
  http.close()
  http.closeIdleConnections()
  await closed
  clearTimeout(last)
}

async function answerHttp(request: IncomingMessage, response: ServerResponse, answerer: Answerer): Promise<void> {
  if (request.method !== 'POST') return end(response, 405)
  try {
    const text = await bodyOf(request)
    if (text === undefined) return end(response, 413)
    const reply = answer(text, answerer)
    end(response, reply === undefined ? 204 : 200, reply)
  } catch {
    // The caller disconnected in the middle of its request.
    response.destroy()
  }
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_REQUEST_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function end(response: ServerResponse, status: number, body = ''): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body)
}
