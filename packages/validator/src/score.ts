/** A result that arrives up to this many seconds after its timeout still counts as in time, as Python validators count. */
export const IN_TIME_SLACK_SECONDS = 1

/** Whether a result came in time. Both in seconds, from the work's handing to the kernel to the result's frame. */
export function isInTime(seconds: number, timeoutSeconds: number): boolean {
  return seconds <= timeoutSeconds + IN_TIME_SLACK_SECONDS
}

/**
 * The score of a right answer, by the network's formula of 2024: `2 · (1 − seconds / (2 · timeout))`, which is 2 for an
 * instant answer and 1 for one at the timeout. 0 for one that is late; a wrong answer is the caller's 0.
 */
export function scoreOf(seconds: number, timeoutSeconds: number): number {
  if (!isInTime(seconds, timeoutSeconds)) return 0
  return Math.max(0, 2 * (1 - Math.max(0, seconds) / (2 * timeoutSeconds)))
}
