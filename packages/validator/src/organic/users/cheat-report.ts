/** Takes a user's report that the result of a job was wrong. */
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { printable } from '@horde/kit/log/untrusted-text'
import type { Clock } from '@horde/kit/time'
import { SORTED, writeJson } from '@horde/protocol/json/write-json'
import { jobUuid } from '@horde/protocol/primitives'
import type { V0JobCheated } from '@horde/protocol/v2026/facilitator-validator'
import { userCheatTexts } from '@horde/protocol/v2026/signing/user-signature'
import { addCheatReport, findUserJob } from '../../db/users/user-jobs.ts'
import type { ReceivedRequest } from '../facilitator-frame.ts'
import { checkSignature, type SignatureRules } from './user-signature.ts'

/** How much of the report's details is stored, in characters. */
const MAX_DETAILS_CHARACTERS = 10_000

export interface CheatReportDeps {
  /** The validator's. */
  hotkey: string
  db: Database
  rules: SignatureRules
  clock: Clock
  log: Log
}

/**
 * Stores a report. It counts against the miner when further miners are picked. A report that is badly signed, about a
 * job that this validator does not know or that has no result, or by another user than the job's is dropped: the
 * dialect has no answer to it. A repeated report changes nothing.
 */
export async function takeCheatReport(
  { request, received }: ReceivedRequest<V0JobCheated>,
  { hotkey, db, rules, clock, log }: CheatReportDeps,
): Promise<void> {
  const drop = (why: string) => log.warn({ jobUuid: printable(request.job_uuid), why }, 'report of a cheat dropped')
  const checked = checkSignature(request.signature, userCheatTexts(received), rules, clock.now())
  if (!checked.ok) return drop(checked.problem)
  const uuids = [request.job_uuid, request.trusted_job_uuid]
  if (!uuids.every(uuid => jobUuid.safeParse(uuid).success)) return drop('a uuid is malformed')
  const job = await findUserJob(db, request.job_uuid)
  if (!job || job.endedAt === null || job.refusal !== null) return drop('the job is not known, or has no result')
  if (checked.signatory !== job.signatory && checked.signatory !== hotkey) return drop('another user asked for the job')
  const details = writeJson(received.get('details') ?? null, SORTED).slice(0, MAX_DETAILS_CHARACTERS)
  const report = { at: new Date(clock.now()), trustedJob: request.trusted_job_uuid, details }
  if (await addCheatReport(db, job.uuid, report)) {
    log.warn({ jobUuid: job.uuid, trustedJob: report.trustedJob }, 'user reported a wrong result')
  }
}
