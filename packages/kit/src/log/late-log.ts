import { createRequire } from 'node:module'
import type { Log, LogOptions } from '../log.ts'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']

/**
 * Returns a log like createLog's that loads pino (18 ms and 14 MiB) only with the first line that is written. An
 * executor that waits for its job writes nothing.
 */
export function createLateLog(name: string, options: LogOptions = {}): Log {
  // require() and not import(): the line is written when the call returns, even if the process exits right after.
  const require = createRequire(import.meta.url)
  const open = () => (require('../log.ts') as typeof import('../log.ts')).createLog(name, options)
  return late(LEVELS.indexOf(options.level ?? 'info'), open)
}

/** @param least the index of the lowest level that is written; -1: none */
function late(least: number, open: () => Log): Log {
  let log: Log | undefined
  const opened = () => {
    log ??= open()
    return log
  }
  const get = (_: object, key: string | symbol): unknown => {
    const level = LEVELS.indexOf(String(key))
    if (log === undefined && level >= 0 && (least < 0 || level < least)) return () => {}
    if (log === undefined && key === 'child') return (fields: object) => late(least, () => opened().child(fields))
    const value: unknown = Reflect.get(opened(), key)
    return typeof value === 'function' ? value.bind(log) : value
  }
  return new Proxy({}, { get }) as Log
}
