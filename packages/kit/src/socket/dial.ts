import type { IncomingHttpHeaders } from 'node:http'
import { WebSocket } from 'ws'
import { WITHOUT_PONG_LIMIT } from './control-limit.ts'
import { DialError } from './errors.ts'

/** How long TCP, TLS and the upgrade may take together, in ms. */
const HANDSHAKE_TIMEOUT_MS = 10_000

interface HandshakeOptions {
  maxFrameBytes: number
  headers?: Record<string, string>
  signal?: AbortSignal
  handshakeTimeoutMs?: number
  /** Called with the headers of the answer that opens the connection, before `take`. */
  onUpgrade?(headers: IncomingHttpHeaders): void
}

/**
 * Opens a WebSocket and passes it to `take` in the tick in which it opened. Rejects with `signal.reason`, or with
 * DialError, whose message shows only the host of the URL.
 */
export function openWebSocket<T>(url: string, options: HandshakeOptions, take: (ws: WebSocket) => T): Promise<T> {
  const { signal, handshakeTimeoutMs = HANDSHAKE_TIMEOUT_MS } = options
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const host = hostOf(url)
    if (host === undefined) return reject(new DialError('not a WebSocket URL'))
    const ws = new WebSocket(url, {
      headers: options.headers,
      maxPayload: options.maxFrameBytes,
      perMessageDeflate: false,
      ...WITHOUT_PONG_LIMIT,
    })
    const fail = (error: unknown) => {
      settle()
      reject(error)
      ws.terminate()
    }
    const onAbort = () => fail(signal?.reason)
    const timer = setTimeout(
      () => fail(new DialError(`${host} did not answer within ${handshakeTimeoutMs} ms`)),
      handshakeTimeoutMs,
    )
    const settle = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    // Stays attached: ws reports one more error when the handshake is aborted.
    ws.on('error', cause => fail(new DialError(`cannot connect to ${host}`, { cause })))
    ws.once('unexpected-response', (_request, response) => {
      const { statusCode: status = 0 } = response
      response.destroy()
      fail(new DialError(`${host} refused the connection with status ${status}`, { status }))
    })
    ws.once('upgrade', ({ headers }) => options.onUpgrade?.(headers))
    ws.once('open', () => {
      settle()
      ws.removeAllListeners('error')
      resolve(take(ws))
    })
  })
}

function hostOf(url: string): string | undefined {
  const parsed = URL.parse(url)
  return parsed && /^wss?:$/.test(parsed.protocol) && !parsed.hash ? parsed.host : undefined
}
