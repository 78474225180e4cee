/** Decides whether a user's job may be given to a further miner: only while no miner can have run it. */
import type { Reason } from '@horde/protocol/reasons'
import type { StoredJob } from '../../db/jobs.ts'
import type { StoredTry, StoredUserJob } from '../../db/users/user-jobs.ts'

/** How long after its request a job is given to a miner at the latest, in ms: after that its user has given up. */
const START_WITHIN_MS = 600_000

/**
 * The tries whose miner may have the work though their row does not show it, by uuid: the work is sent before the row
 * says so.
 */
export type MaybeSent = Set<string>

/** Whether the row of a try that was left open shows that its miner may have the work. */
export function mayBeSent({ state, offeredAt }: Pick<StoredJob, 'state' | 'offeredAt'>): boolean {
  return offeredAt !== null || state !== 'offered'
}

/** Whether the job may be given to a first or a further miner. */
export function mayTryAgain(
  { request, createdAt }: StoredUserJob,
  tries: readonly StoredTry[],
  { maxTries, now, maybeSent }: { maxTries: number; now: number; maybeSent: MaybeSent },
): boolean {
  if (now - createdAt.getTime() > START_WITHIN_MS) return false
  const last = tries.at(-1)
  if (last === undefined) return true
  if (maybeSent.has(last.uuid) && !isSaidUnrun(last)) return false
  return isUnrun(last) && tries.length < maxTries && !request.on_trusted_miner
}

/** This validator itself ended the job. */
const OWN_ENDS: readonly (Reason | null)[] = ['stopped', 'abandoned']

/** Whether a try ended before the miner had the work, so that another miner may be given the job. */
function isUnrun({ state, reason, readyAt }: StoredTry): boolean {
  return state === 'rejected' || (state === 'broken' && readyAt === null && !OWN_ENDS.includes(reason))
}

/** Whether the miner itself says that it was not ready, and so had no work. */
function isSaidUnrun({ state, report }: StoredTry): boolean {
  if (state === 'rejected' || report?.type === 'not-prepared') return true
  return report?.type === 'break' && (report.reason === 'executor-not-started' || report.reason === 'ready-timed-out')
}
