import { format } from 'node:util'
import type { Log } from '../log.ts'

const LEVELS = { debug: 'debug', log: 'info', info: 'info', warn: 'warn', error: 'error' } as const

/**
 * Turns what libraries print with `console`, and Node's warnings, into lines of the log, because log readers drop text
 * that is not JSON. Our own code prints with neither.
 */
export function logConsole(log: Log): void {
  for (const name of ['debug', 'log', 'info', 'warn', 'error'] as const) {
    console[name] = (...args: unknown[]) => log[LEVELS[name]]({ text: format(...args) }, 'console output of a library')
  }
  // Node's own listener would also write to stderr.
  process.removeAllListeners('warning')
  process.on('warning', err => log.warn({ err }, 'warning from Node'))
}
