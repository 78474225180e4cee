import { createLog, type Log } from '@horde/kit/log'

/** A log, and its lines at info and above. */
export function capturedLog(): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = []
  return { log: createLog('miner', { destination: { write: line => lines.push(JSON.parse(line)) } }), lines }
}
