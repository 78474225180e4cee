/**
 * Reads the arguments with which miners of 2026 start an executor: `python manage.py run_executor --startup-time-limit
 * 30 --job-runner-class a.B`. Every other argument is ignored, so that a later miner's do no harm.
 */

const STARTUP_LIMIT = '--startup-time-limit'

/** Above this, the limit is no limit, in seconds. */
const LONGEST_SECONDS = 86_400

/** Returns how long the executor may take from its connection until it is ready, in ms. Undefined: no limit is named. */
export function startupLimitMs(args: readonly string[]): number | undefined {
  const at = args.findIndex(arg => arg === STARTUP_LIMIT || arg.startsWith(`${STARTUP_LIMIT}=`))
  if (at < 0) return undefined
  const text = args[at] === STARTUP_LIMIT ? (args[at + 1] ?? '') : (args[at]?.slice(STARTUP_LIMIT.length + 1) ?? '')
  if (!/^\d+$/.test(text)) return undefined
  const seconds = Number(text)
  return seconds > LONGEST_SECONDS ? undefined : seconds * 1_000
}
