/** The work that users requested of one class within the window. */
export interface RequestedWork {
  /** Time from ready to end of all jobs that had a ready executor, in seconds. */
  executorSeconds: number
  /** Number of those jobs. */
  ran: number
  /** Number of jobs that ended without a ready executor. */
  turnedAway: number
}

/** How demand changes the weights of classes. */
export interface DemandRules {
  /** How far back users' jobs count, in seconds. */
  windowSeconds: number
  /** Executor-seconds that are added to the demand of every class; 0 or more. */
  smoothingSeconds: number
  /** The smallest and the largest demand factor. The floor is above 0 and at most 1, the ceiling at least 1. */
  floor: number
  ceiling: number
}

/**
 * Returns the executor-seconds that users requested. A job that was turned away counts as the mean of the jobs that
 * ran. All jobs turned away together count at most as much as those that ran, because being turned away costs a user
 * nothing.
 */
export function requestedSeconds({ executorSeconds, ran, turnedAway }: RequestedWork): number {
  if (ran === 0) return 0
  return executorSeconds + Math.min(executorSeconds, (turnedAway * executorSeconds) / ran)
}

/**
 * Returns the factor by which demand changes each class's weight. It is 1 for a class with the mean demand, and 1 for
 * all classes if users requested nothing.
 *
 * @param seconds the requested executor-seconds of each class with a weight
 */
export function demandFactors(seconds: ReadonlyMap<string, number>, rules: DemandRules): Map<string, number> {
  const smoothed = [...seconds].map(([name, requested]) => [name, requested + rules.smoothingSeconds] as const)
  const mean = smoothed.reduce((sum, [, each]) => sum + each, 0) / smoothed.length
  const factor = (each: number) => (mean > 0 ? Math.min(rules.ceiling, Math.max(rules.floor, each / mean)) : 1)
  return new Map(smoothed.map(([name, each]) => [name, factor(each)]))
}
