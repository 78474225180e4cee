/**
 * What validators are told about their jobs, on which connection, and what counts as delivered.
 *
 * A job's messages go to its home: the connection that offered it or sent its work. When that one is gone, they go to
 * the connections of the same validator that were authenticated after it. A result is delivered once it went out on the
 * home; said elsewhere it stays due on later connections. See docs/protocol.md, "Several connections".
 */
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { isFinal } from '@horde/protocol/job-state'
import type { JobUuid } from '@horde/protocol/primitives'
import { REASONS } from '@horde/protocol/reasons'
import type { MinerMessage } from '@horde/protocol/validator-miner'
import { abandonJob, jobDue, jobsDue, markDelivered } from '../db/jobs.ts'
import type { JobRow } from '../db/schema.ts'
import type { ValidatorSession } from '../validator-session.ts'
import type { LiveJob, LiveJobs } from './live-job.ts'

export type News = {
  arrived(session: ValidatorSession): Promise<void>
  left(session: ValidatorSession): Promise<void>
  /** Says what a job's state makes due, where it is due and was not said yet. */
  tell(job: LiveJob): Promise<void>
  /** Says the end of a job that nobody drives on a connection that asked for it. */
  tellEnd(job: JobRow, session: ValidatorSession): Promise<void>
}

export type NewsDeps = {
  db: Database
  live: LiveJobs
  clock: Clock
  log: Log
  /** How long an end stays due, in milliseconds. */
  keepMs: number
}

export function openNews({ db, live, clock, log, keepMs }: NewsDeps): News {
  const sessions = new Map<string, Set<ValidatorSession>>()
  const now = () => new Date(clock.now())

  async function tell(job: LiveJob): Promise<void> {
    const message = messageDue(job)
    if (!message || job.delivered) return
    const listening = listeners(job)
    const said = await Promise.all(listening.map(session => session.sayOnce(job.id, message)))
    const wentHome = job.home !== undefined && listening[0] === job.home && said[0] === true
    if (!wentHome || !isFinal(job.state)) return
    job.delivered = true
    await markDelivered(db, job.id, now())
  }

  function listeners(job: LiveJob): ValidatorSession[] {
    const { home } = job
    if (home?.isOpen) return [home]
    return [...(sessions.get(job.validator) ?? [])].filter(({ number }) => home === undefined || number > home.number)
  }

  async function arrived(session: ValidatorSession): Promise<void> {
    const mine = sessions.get(session.validator) ?? new Set()
    sessions.set(session.validator, mine.add(session))
    for (const job of live.of(session.validator)) await tell(job)
    const since = new Date(clock.now() - keepMs)
    // One at a time: a result may be large, and there may be many.
    for (const id of await jobsDue(db, session.validator, since)) {
      const row = await jobDue(db, id)
      if (row && !live.find(row.validator, row.uuid)) await session.sayOnce(id, endOf(row))
    }
  }

  async function left(session: ValidatorSession): Promise<void> {
    const mine = sessions.get(session.validator)
    mine?.delete(session)
    if (mine?.size === 0) sessions.delete(session.validator)
    for (const job of live.of(session.validator)) if (job.home === session) await tell(job)
  }

  async function tellEnd(found: JobRow, session: ValidatorSession): Promise<void> {
    // Open without a driver: the database was away when its end was to be stored.
    const row = isFinal(found.state) ? found : await abandon(found)
    const end = endOf(row)
    const said = session.wasTold(row.id, end) || (await session.sayOnce(row.id, end))
    if (said) await markDelivered(db, row.id, now())
  }

  async function abandon(row: JobRow): Promise<JobRow> {
    const { uuid: jobUuid, validator, state: from, id } = row
    const ended = await abandonJob(db, id, now())
    if (ended) log.warn({ jobUuid, validator, from, to: ended.state, reason: ended.reason }, 'job moved')
    return ended ?? row
  }

  return { arrived, left, tell, tellEnd }
}

/** What a validator that was away must be told of a job in this state. */
function messageDue(job: LiveJob): MinerMessage | undefined {
  // An executor without the work, and a miner without it: a validator that hears ready anew says it again.
  if (job.state === 'ready' || (job.state === 'running' && job.workLost))
    return { message_type: 'V0ExecutorReadyRequest', job_uuid: job.uuid as JobUuid }
  if (!isFinal(job.state)) return undefined
  return endOf({
    ...job,
    readyAt: job.wasReady ? new Date(0) : null,
    reason: job.reason ?? null,
    result: job.result ?? null,
  })
}

type Ended = Pick<JobRow, 'uuid' | 'state' | 'reason' | 'result' | 'readyAt'>

/** The message that tells a job's end: what was broken before it was ready failed to be prepared. */
export function endOf({ uuid, state, reason, result, readyAt }: Ended): MinerMessage {
  const job_uuid = uuid as JobUuid
  if (state === 'rejected') return { message_type: 'V0DeclineJobRequest', job_uuid }
  if (state === 'broken' && readyAt === null) return { message_type: 'V0ExecutorFailedRequest', job_uuid }
  const output = {
    docker_process_stdout: result?.stdout ?? '',
    docker_process_stderr: result?.stderr ?? (reason ? REASONS[reason] : ''),
  }
  if (state === 'finished') return { message_type: 'V0JobFinishedRequest', job_uuid, ...output }
  return {
    message_type: 'V0JobFailedRequest',
    job_uuid,
    docker_process_exit_status: result?.exitStatus ?? null,
    ...output,
  }
}
