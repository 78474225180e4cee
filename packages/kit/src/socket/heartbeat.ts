import type { Socket as NetSocket } from 'node:net'
import type { WebSocket } from 'ws'

export interface HeartbeatOptions {
  everyMs: number
  /** Silence after which the peer counts as gone, in ms; counted in whole beats. */
  timeoutMs: number
  writtenBytes(): number
  onDead(): void
}

/**
 * Pings the peer, and notices when it is gone. Any byte from it counts as life, and so does its taking ours: behind a
 * large frame a pong comes late. Silence is counted in beats, not by the clock, so that a process that was held up reads
 * what has come before it judges. While we do not read ourselves, the peer's silence says nothing.
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

/** Bytes that came from the peer, also those of a frame that is not complete: ws tells only of complete ones. */
function readBytes(ws: WebSocket): number {
  return (ws as unknown as { _socket: NetSocket | null })._socket?.bytesRead ?? 0
}
