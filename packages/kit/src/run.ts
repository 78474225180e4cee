import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net'
import { ConfigError } from './config.ts'
import { createLateLog } from './late-log.ts'
import { logWhatIsPrinted } from './log/printed.ts'
import type { Log } from './log.ts'

/** sysexits' EX_CONFIG: something is wrong with the settings. */
const EXIT_CONFIG = 78
const EXIT_FAILED = 1

/** A Ctrl-C reaches a child twice, from the terminal and from the parent that stops it: within this time it is one. */
const SAME_STOP_MS = 1_000

/** How long a service may take to close everything before the process ends regardless. */
const STOP_WITHIN_MS = 20_000

/**
 * How long each address of a name has to take a connection before the next one is tried, in ms. Node gives up all but the
 * last after 250 ms, also one that is far away or whose first packet is lost, which is sent again after a second.
 */
const ADDRESS_TIMEOUT_MS = 2_500

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

export interface RunOptions {
  /** How long closing may take after a signal, or after `main` has returned, in ms. Default: 20 s. */
  stopWithinMs?: number
  /** What SIGHUP means to this service, such as reading its files anew. Default: to stop. */
  onHangup?(): void
}

/**
 * Runs a service: `main` works until its signal aborts (SIGTERM, SIGINT, SIGHUP unless it means something else, or an error nobody caught), closes what it
 * opened and returns. Sets the process's exit code: what `main` returned, 0 when it stopped as asked, 78 with a message
 * on stderr when it threw ConfigError, 1 with one log line for any other error. A second signal ends the process at
 * once, and so does a stop that takes too long.
 */
export async function runService(
  name: string,
  main: (signal: AbortSignal) => Promise<number | undefined> | Promise<void>,
  { stopWithinMs = STOP_WITHIN_MS, onHangup }: RunOptions = {},
): Promise<void> {
  // Here, before anything connects: whatever library does, of every program of ours.
  setDefaultAutoSelectFamilyAttemptTimeout(ADDRESS_TIMEOUT_MS)
  const log = createLateLog(name)
  // On stderr: on stdout a command gives its answer.
  logWhatIsPrinted(createLateLog(name, { destination: process.stderr }))
  const stop = new AbortController()
  let failed = false
  const { SIGHUP, ...stopping } = SIGNALS
  if (onHangup) process.on('SIGHUP', onHangup)
  watchSignals(log, stop, stopWithinMs, onHangup ? stopping : { SIGHUP, ...stopping })
  const onUncaught = (err: unknown) => {
    if (stop.signal.aborted && err === stop.signal.reason) return
    failed = true
    log.error({ err }, 'stopping after an error that nobody caught')
    process.exitCode = EXIT_FAILED
    endWithin(log, stopWithinMs)
    stop.abort(err)
  }
  process.on('uncaughtException', onUncaught)
  process.on('unhandledRejection', onUncaught)

  const code = await codeOf(() => main(stop.signal), stop.signal, log)
  process.exitCode = failed ? EXIT_FAILED : code
  endWithin(log, stopWithinMs)
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
        endWithin(log, stopWithinMs)
        stop.abort(new DOMException(`stopped by ${name}`, 'AbortError'))
      } else if (performance.now() - firstAt > SAME_STOP_MS) {
        log.warn({ signal: name }, 'ending at once after a second signal')
        process.exit(128 + number)
      }
    })
  }
}

/** The last resort: it does not keep the process alive, and ends it when something else does. */
function endWithin(log: Log, ms: number): void {
  const end = () => {
    log.error({ waitedMs: ms, open: process.getActiveResourcesInfo() }, 'ending although something is still open')
    process.exit(process.exitCode || EXIT_FAILED)
  }
  setTimeout(end, ms).unref()
}
