import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net'
import { ConfigError } from './config.ts'
import { createLateLog } from './log/late-log.ts'
import { logConsole } from './log/printed.ts'
import type { Log } from './log.ts'

/** EX_CONFIG of sysexits: the settings are wrong. */
const EXIT_CONFIG = 78
const EXIT_FAILED = 1

/** Two signals within this time count as one: Ctrl-C reaches a child from the terminal and from its parent. */
const SAME_STOP_MS = 1_000

/** How long a service may take to close everything before the process exits anyway. */
const STOP_WITHIN_MS = 20_000

/**
 * How long each address of a name has to accept a connection before the next one is tried, in ms. Node's default of 250
 * ms is too short for a host that is far away, and for a lost first packet, which is sent again after a second.
 */
const ADDRESS_TIMEOUT_MS = 2_500

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

export interface RunOptions {
  /** How long closing may take after a signal, or after `main` has returned, in ms. Default: 20 s. */
  stopWithinMs?: number
  /** Called on SIGHUP, for example to read files again. Default: SIGHUP stops the service. */
  onHangup?(): void
}

/**
 * Runs a service. `main` works until its signal aborts, closes what it opened and returns. SIGTERM, SIGINT, an uncaught
 * error and, without `onHangup`, SIGHUP abort the signal. The exit code is what `main` returned, 0 when it stopped as
 * asked, 78 with a message on stderr when it threw ConfigError, and 1 with one log line for any other error. A second
 * signal exits at once, and so does a stop that takes too long.
 */
export async function runService(
  name: string,
  main: (signal: AbortSignal) => Promise<number | undefined> | Promise<void>,
  { stopWithinMs = STOP_WITHIN_MS, onHangup }: RunOptions = {},
): Promise<void> {
  // Set before anything connects. It applies to all libraries of the process.
  setDefaultAutoSelectFamilyAttemptTimeout(ADDRESS_TIMEOUT_MS)
  const log = createLateLog(name)
  // On stderr, because a command prints its answer on stdout.
  logConsole(createLateLog(name, { destination: process.stderr }))
  const stop = new AbortController()
  let failed = false
  const { SIGHUP, ...stopping } = SIGNALS
  if (onHangup) process.on('SIGHUP', onHangup)
  watchSignals(log, stop, stopWithinMs, onHangup ? stopping : { SIGHUP, ...stopping })
  const onUncaught = (err: unknown) => {
    if (stop.signal.aborted && err === stop.signal.reason) return
    failed = true
    log.error({ err }, 'stopping after an uncaught error')
    process.exitCode = EXIT_FAILED
    exitWithin(log, stopWithinMs)
    stop.abort(err)
  }
  process.on('uncaughtException', onUncaught)
  process.on('unhandledRejection', onUncaught)

  const code = await codeOf(() => main(stop.signal), stop.signal, log)
  process.exitCode = failed ? EXIT_FAILED : code
  exitWithin(log, stopWithinMs)
}

async function codeOf(run: () => Promise<number | undefined> | Promise<void>, signal: AbortSignal, log: Log) {
  try {
    return (await run()) ?? 0
  } catch (error) {
    return exitCodeFor(error, signal, log)
  }
}

function exitCodeFor(error: unknown, signal: AbortSignal, log: Log): number {
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`)
    return EXIT_CONFIG
  }
  const stoppedAsAsked = signal.aborted && (error === signal.reason || (error as Error | null)?.name === 'AbortError')
  if (stoppedAsAsked) return 0
  log.error({ err: error }, 'service failed')
  return EXIT_FAILED
}

function watchSignals(log: Log, stop: AbortController, stopWithinMs: number, signals: Partial<typeof SIGNALS>): void {
  let firstAt: number | undefined
  for (const [name, number] of Object.entries(signals)) {
    process.on(name, () => {
      if (firstAt === undefined) {
        firstAt = performance.now()
        log.info({ signal: name }, 'stopping')
        exitWithin(log, stopWithinMs)
        stop.abort(new DOMException(`stopped by ${name}`, 'AbortError'))
      } else if (performance.now() - firstAt > SAME_STOP_MS) {
        log.warn({ signal: name }, 'exiting at once after a second signal')
        process.exit(128 + number)
      }
    })
  }
}

/** Exits after `ms` if something still keeps the process alive. The timer itself does not. */
function exitWithin(log: Log, ms: number): void {
  const end = () => {
    log.error({ waitedMs: ms, open: process.getActiveResourcesInfo() }, 'exiting although something is still open')
    process.exit(process.exitCode || EXIT_FAILED)
  }
  setTimeout(end, ms).unref()
}
