import type { WebSocket } from 'ws'

/**
 * How many pings and pongs a peer may send at once, and per second after that. A miner asks for a receipt of each
 * result, and a thousand jobs may end at once. A heartbeat comes every 20 s.
 */
const AT_ONCE = 5_000
const PER_SECOND = 100

/**
 * Options for a WebSocket that uses `limitControlFrames`. By default ws closes a connection on which more than 60 pings
 * come in one piece, which honest miners send when many results are due.
 */
export const WITHOUT_PONG_LIMIT = { maxPendingAutoPongs: 0 }

/**
 * Calls `onFlood` when a peer sends more pings or pongs than an honest one. ws answers each ping itself, so the limit
 * of the frame queue does not apply to them.
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
