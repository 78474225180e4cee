/** Results that arrive up to this many seconds after their timeout still count as in time, as Python validators count. */
export const IN_TIME_SLACK_SECONDS = 1

/** How a job's time becomes a score. `efficiency`: an exponent above 0, and the most that one job can score. */
export type Scoring = { name: '2024' } | { name: 'efficiency'; exponent: number; cap: number }

/** One answer, as it was measured. */
export interface MeasuredRun {
  /** From the work's handing to the kernel to the result's frame. */
  seconds: number
  timeoutSeconds: number
  /** How long an executor of reference speed takes for this very piece of work. */
  referenceSeconds: number
  /** The benchmark's verdict over the answer, 0 to 1. */
  quality: number
}

/** Whether a result came in time. Both in seconds, from the work's handing to the kernel to the result's frame. */
export function isInTime(seconds: number, timeoutSeconds: number): boolean {
  return seconds <= timeoutSeconds + IN_TIME_SLACK_SECONDS
}

/**
 * What one job scores; 0 when it is late, never negative, always finite. docs/scoring.md says why the formulas are as
 * they are.
 *
 * `2024`: quality · 2 · (1 − seconds / (2 · timeout)): 2 for an instant answer, 1 for one at the timeout.
 * `efficiency`: quality · min(cap, (reference / seconds) ^ exponent): 1 for an answer as fast as the reference.
 */
export function scoreJob(run: MeasuredRun, scoring: Scoring): number {
  const { timeoutSeconds, referenceSeconds } = run
  const quality = Math.min(1, run.quality)
  const seconds = Math.max(0, run.seconds)
  if (!(quality > 0) || !isInTime(seconds, timeoutSeconds)) return 0
  if (scoring.name === '2024') return quality * Math.max(0, 2 * (1 - seconds / (2 * timeoutSeconds)))
  if (!(referenceSeconds > 0)) return 0
  return quality * Math.min(scoring.cap, (referenceSeconds / seconds) ** scoring.exponent)
}
