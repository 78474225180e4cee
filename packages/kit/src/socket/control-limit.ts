import type { WebSocket } from 'ws'

/**
 * How many pings and pongs a peer may send at once, and in a second after that. A validator asks for a receipt of each result, and a
 * thousand of them may end at once; a heartbeat comes every 20 s.
 */
const AT_ONCE = 5_000
const PER_SECOND = 100

/**
 * Options for a WebSocket that `limitControlFrames` looks after. By itself the library ends a connection on which more than 60 pings come in
 * one piece, and a miner asks for a receipt of each of its results.
 */
export const WITHOUT_PONG_LIMIT = { maxPendingAutoPongs: 0 }

/**
 * Calls `onFlood` once a peer sends more pings or pongs than any honest one. The WebSocket library answers each ping by itself, so that they
 * cost without ever waiting in a queue.
 */
export function limitControlFrames(ws: WebSocket, onFlood: () => void): void {
  let left = AT_ONCE
  let countedAt = performance.now()
  const count = () => {
    const now = performance.now()
    left = Math.min(AT_ONCE, left + ((now - countedAt) * PER_SECOND) / 1_000) - 1
    countedAt = now
    if (left < 0) onFlood()
  }
  ws.on('ping', count)
  ws.on('pong', count)
}
