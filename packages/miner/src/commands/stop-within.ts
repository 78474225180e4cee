import { readMinerConfig } from '../config.ts'

/** How long closing may take beyond what running jobs and their executors are given, in milliseconds. */
const CLOSE_MS = 10_000

/** How long the last resort waits after a signal, in ms: for what the settings allow. Wrong ones end the miner anyway. */
export function stopWithinMs(environment: NodeJS.ProcessEnv): number {
  try {
    const { STOP_GRACE_SECONDS, EXECUTOR_STOP_SECONDS } = readMinerConfig(environment)
    return CLOSE_MS + (STOP_GRACE_SECONDS + 2 * EXECUTOR_STOP_SECONDS) * 1000
  } catch {
    return CLOSE_MS
  }
}
