/** How long after its timeout a result still counts as in time, in seconds. As in a v0 validator. */
export const IN_TIME_SLACK_SECONDS = 1

/** How a job's time becomes a score. `efficiency` has an exponent above 0 and a cap on the score of one job. */
export type Scoring = { name: '2024' } | { name: 'efficiency'; exponent: number; cap: number }

/** A measured result. */
export interface MeasuredRun {
  /** Time from sending the work to receiving the result. */
  seconds: number
  timeoutSeconds: number
  /** How long an executor of reference speed takes for this piece of work. */
  referenceSeconds: number
  /** The benchmark's judgement of the answer, 0 to 1. */
  quality: number
}

/** Returns whether a result came in time. Both values are in seconds, measured as in `MeasuredRun`. */
export function isInTime(seconds: number, timeoutSeconds: number): boolean {
  return seconds <= timeoutSeconds + IN_TIME_SLACK_SECONDS
}

/**
 * Computes the score of one job: 0 if it is late, never negative, always finite. docs/scoring.md explains the formulas.
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
