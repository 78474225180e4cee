/** A test's side of a WebSocket. Each wait for a message has a deadline. */
import type { Socket } from '@horde/kit/socket'
import { withDeadline } from '@horde/kit/time'
import type { Parsed } from '@horde/protocol/frame'
import { WAIT_MS } from '../limits.ts'

export type Peer<In, Out> = Socket<Parsed<In>, Out> & {
  /** Returns the next message. Rejects when the connection ends, when a frame is invalid, and after the deadline. */
  next(withinMs?: number): Promise<In>
  /** Returns all messages until the connection ends. Skips invalid frames. */
  nextUntilClosed(): Promise<In[]>
}

export function asPeer<In, Out>(socket: Socket<Parsed<In>, Out>): Peer<In, Out> {
  const next = async (withinMs = WAIT_MS): Promise<In> => {
    const received = await withDeadline(socket.receive(), withinMs, 'a message')
    if (received === undefined) throw new Error(`closed: ${JSON.stringify(await socket.closed)}`)
    if (!received.ok) throw received.error
    return received.message
  }
  const nextUntilClosed = async (): Promise<In[]> => {
    const all: In[] = []
    for await (const received of socket) if (received.ok) all.push(received.message)
    return all
  }
  return Object.assign(socket, { next, nextUntilClosed })
}
