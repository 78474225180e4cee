import type { WebSocket } from 'ws'

/**
 * Keeps `ws` from answering the peer's close by itself, and calls `onClose` instead. The next call of `ws.close` is the
 * answer, with its own code.
 *
 * `ws` answers by calling its own `close`, the first call after the peer's close frame.
 */
export function holdClose(ws: WebSocket, onClose: () => void): void {
  const close = ws.close.bind(ws)
  let isHeld = false
  ws.close = (code, reason) => {
    const isOwnAnswer = !isHeld && hasReceivedClose(ws) && ws.readyState === ws.OPEN
    if (!isOwnAnswer) return close(code, reason)
    isHeld = true
    onClose()
  }
}

function hasReceivedClose(ws: WebSocket): boolean {
  return (ws as unknown as { _closeFrameReceived: boolean })._closeFrameReceived
}
