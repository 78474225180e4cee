/** What users asked of one class in the trailing window. */
export interface Asked {
  /** From ready to the end, of the jobs that were ready, in seconds. */
  executorSeconds: number
  /** How many jobs that were. */
  ran: number
  /** How many jobs ended without an executor that was ready. */
  turnedAway: number
}

export interface DemandRules {
  /** How far back the organic jobs count, in seconds. */
  windowSeconds: number
  /** Executor-seconds that every class counts as asked for beyond what was; 0 or more. */
  smoothingSeconds: number
  /** The least and the most that demand multiplies a class's weight by: above 0 and at most 1; at least 1. */
  floor: number
  ceiling: number
}

/**
 * The executor-seconds asked for. A job that was turned away counts as the mean of those that ran; all that were
 * together count at most as much as what ran, because to be turned away costs nothing.
 */
export function executorSecondsAsked({ executorSeconds, ran, turnedAway }: Asked): number {
  if (ran === 0) return 0
  return executorSeconds + Math.min(executorSeconds, (turnedAway * executorSeconds) / ran)
}

/**
 * What demand makes of each class's weight: 1 where a class is asked for as much as the mean of them, and for all of
 * them where nothing was asked for.
 *
 * @param seconds executor-seconds asked, of each class with a weight
 */
export function demandFactors(seconds: ReadonlyMap<string, number>, rules: DemandRules): Map<string, number> {
  const smoothed = [...seconds].map(([name, asked]) => [name, asked + rules.smoothingSeconds] as const)
  const mean = smoothed.reduce((sum, [, each]) => sum + each, 0) / smoothed.length
  const factor = (each: number) => (mean > 0 ? Math.min(rules.ceiling, Math.max(rules.floor, each / mean)) : 1)
  return new Map(smoothed.map(([name, each]) => [name, factor(each)]))
}
