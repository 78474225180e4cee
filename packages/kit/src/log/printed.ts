import { format } from 'node:util'
import type { Log } from '../log.ts'

const LEVELS = { debug: 'debug', log: 'info', info: 'info', warn: 'warn', error: 'error' } as const

/**
 * From now on, what a library prints by `console`, and what Node warns of, become lines of a log: raw text between JSON
 * lines is lost for whoever reads them. Ours print by neither.
 */
export function logWhatIsPrinted(log: Log): void {
  for (const name of ['debug', 'log', 'info', 'warn', 'error'] as const) {
    console[name] = (...args: unknown[]) => log[LEVELS[name]]({ said: format(...args) }, 'a library printed this')
  }
  // Node's own listener writes to stderr.
  process.removeAllListeners('warning')
  process.on('warning', err => log.warn({ err }, 'Node warns'))
}
