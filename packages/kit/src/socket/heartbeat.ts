import type { Socket as NetSocket } from 'node:net'
import type { WebSocket } from 'ws'

export interface HeartbeatOptions {
  everyMs: number
  /** The silence after which the peer counts as gone, in ms, rounded up to whole beats. */
  timeoutMs: number
  writtenBytes(): number
  onDead(): void
}

/**
 * Pings the peer and calls `onDead` when it is silent for too long. Every byte received or sent counts as a sign of
 * life, because behind a large frame a pong comes late. Silence is counted in beats and not by the clock, so that a
 * process that was held up reads its queue before it decides. Beats during which we do not read do not count.
 */
export function startHeartbeat(ws: WebSocket, options: HeartbeatOptions): NodeJS.Timeout {
  const tolerated = Math.max(1, Math.ceil(options.timeoutMs / options.everyMs))
  let silentBeats = 0
  let seen = 0
  let pinging = false

  const beat = () => {
    const progress = readBytes(ws) + options.writtenBytes()
    silentBeats = progress === seen && !ws.isPaused ? silentBeats + 1 : 0
    seen = progress
    if (silentBeats > tolerated) return options.onDead()
    if (pinging || ws.readyState !== ws.OPEN) return
    pinging = true
    ws.ping(undefined, undefined, () => {
      pinging = false
    })
  }
  return setInterval(beat, options.everyMs).unref()
}

/** Returns the bytes received so far, including those of an incomplete frame, which ws does not report. */
function readBytes(ws: WebSocket): number {
  return (ws as unknown as { _socket: NetSocket | null })._socket?.bytesRead ?? 0
}
