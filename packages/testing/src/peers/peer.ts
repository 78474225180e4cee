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
    const heard = await withDeadline(socket.receive(), withinMs, 'a message')
    if (heard === undefined) throw new Error(`closed: ${JSON.stringify(await socket.closed)}`)
    if (!heard.ok) throw heard.error
    return heard.message
  }
  const nextUntilClosed = async (): Promise<In[]> => {
    const all: In[] = []
    for await (const heard of socket) if (heard.ok) all.push(heard.message)
    return all
  }
  return Object.assign(socket, { next, nextUntilClosed })
}
