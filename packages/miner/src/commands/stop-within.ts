import { readMinerConfig } from '../config.ts'

/** How long closing may take in addition to the time for running jobs and their executors, in milliseconds. */
const CLOSE_MS = 10_000

/** Returns how long after a signal the process is killed, in milliseconds. Wrong settings end the miner anyway. */
export function stopWithinMs(environment: NodeJS.ProcessEnv): number {
  try {
    const { STOP_GRACE_SECONDS, EXECUTOR_STOP_SECONDS } = readMinerConfig(environment)
    return CLOSE_MS + (STOP_GRACE_SECONDS + 2 * EXECUTOR_STOP_SECONDS) * 1000
  } catch {
    return CLOSE_MS
  }
}
