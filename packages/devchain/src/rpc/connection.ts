import { randomBytes } from 'node:crypto'
import type { WebSocket } from 'ws'
import { type Answerer, answer } from './answer.ts'
import type { Subscriber } from './method.ts'
import { CODES, RpcError } from './rpc-error.ts'

const MAX_SUBSCRIPTIONS = 1024

/** The most bytes that may wait for a slow reader before it is disconnected to save memory. */
const MAX_BUFFERED_BYTES = 64 * 1024 * 1024

/** Answers one WebSocket until it closes. */
export function serveConnection(socket: WebSocket, answerer: Answerer): void {
  const subscriptions = new Map<string, () => void>()
  const outbox: string[] = []
  let answering = false

  const write = (text: string) => {
    if (socket.bufferedAmount > MAX_BUFFERED_BYTES) socket.terminate()
    else if (socket.readyState === socket.OPEN) socket.send(text)
  }
  // Messages of a new subscription are sent after the answer to its request, which has the subscription's id.
  const notify = (text: string) => {
    if (answering) outbox.push(text)
    else write(text)
  }
  const subscriber: Subscriber = {
    subscribe: (method, start) => {
      if (subscriptions.size >= MAX_SUBSCRIPTIONS) {
        throw new RpcError(CODES.tooManySubscriptions, 'Too many subscriptions on the connection')
      }
      const id = randomBytes(12).toString('base64url')
      const send = (result: unknown) =>
        notify(JSON.stringify({ jsonrpc: '2.0', method, params: { subscription: id, result } }))
      subscriptions.set(id, start(send))
      return id
    },
    unsubscribe: id => {
      subscriptions.get(id)?.()
      return subscriptions.delete(id)
    },
  }

  socket.on('message', data => {
    answering = true
    const text = answer(data.toString(), answerer, subscriber)
    answering = false
    if (text !== undefined) write(text)
    for (const later of outbox.splice(0)) write(later)
  })
  // A broken or oversized frame. ws closes the connection itself.
  socket.on('error', () => {})
  socket.on('close', () => {
    for (const end of subscriptions.values()) end()
    subscriptions.clear()
  })
}
