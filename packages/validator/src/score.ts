import * as jobScore from './scoring/job-score.ts'

/** As `isInTime` of scoring/job-score. */
export const isInTime = jobScore.isInTime

/** The score of a right answer, by the network's formula of 2024; see `scoreJob`. A wrong answer is the caller's 0. */
export function scoreOf(seconds: number, timeoutSeconds: number): number {
  const run = { seconds, timeoutSeconds, referenceSeconds: timeoutSeconds, quality: 1 }
  return jobScore.scoreJob(run, { name: '2024' })
}
