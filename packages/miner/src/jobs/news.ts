/**
 * What validators are told about their jobs, on which connection, and what counts as delivered.
 *
 * A job's messages go to its home: the connections that offered it or sent its work. When those are gone, they go to
 * the connections of the same validator that were authenticated since. An end is delivered once a home connection has
 * read it; told elsewhere it stays due on later connections. See docs/protocol.md, "Several connections".
 */
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { isFinal } from '@horde/protocol/job-state'
import type { JobUuid } from '@horde/protocol/primitives'
import type { MinerMessage } from '@horde/protocol/validator-miner'
import { abandonJob, jobDue, jobsDue, markDelivered } from '../db/jobs.ts'
import type { JobRow } from '../db/schema.ts'
import type { ValidatorSession } from '../validator-session.ts'
import type { ValidatorSessions } from '../validators/validator-sessions.ts'
import type { LiveJob, LiveJobs } from './live-job.ts'
import { endOf } from './news/end-of.ts'
import { Home } from './news/home.ts'

/** Disposing of it waits until what arrived is stored; the connections must be closed by then. */
export type News = AsyncDisposable & {
  /** Tells a new connection what it may have missed, in the background: who has an offer to make need not wait for it. */
  arrived(session: ValidatorSession): void
  /** Tells others what a connection that is gone may have missed, in the background. */
  left(session: ValidatorSession): void
  /** Says what a job's state makes due, where it is due and was not said yet. */
  tell(job: LiveJob): Promise<void>
  /** Says the end of a job that nobody drives on a connection that asked for it. */
  tellEnd(job: JobRow, session: ValidatorSession): Promise<void>
}

export type NewsDeps = {
  db: Database
  live: LiveJobs
  sessions: ValidatorSessions
  clock: Clock
  log: Log
  /** How long an end stays due, in milliseconds. */
  keepMs: number
}

/** What telling needs to know of a job. */
type About = Pick<LiveJob, 'id' | 'validator' | 'home' | 'delivered'>

export function openNews({ db, live, sessions, clock, log, keepMs }: NewsDeps): News {
  /** Ends that have arrived, until that is stored. */
  const arrivedEnds = new Set<number>()
  const background = new Set<Promise<void>>()
  const now = () => new Date(clock.now())

  function inBackground(work: Promise<void>): void {
    const task: Promise<void> = work
      .catch(err => log.error({ err }, 'what is due could not be told'))
      .finally(() => background.delete(task))
    background.add(task)
  }

  async function tell(job: LiveJob): Promise<void> {
    const message = messageDue(job)
    if (message && !job.delivered) await say(job, message)
  }

  async function say(about: About, message: MinerMessage): Promise<void> {
    const said = listeners(about).map(session => {
      const told = session.tellOnce(about.id, message)
      const isEnd = message.message_type !== 'V0ExecutorReadyRequest'
      if (isEnd && about.home.has(session)) inBackground(follow(told.arrived, about, message))
      return told.said
    })
    await Promise.all(said)
  }

  /** What the home may not have read is told to whoever may hear it instead. */
  async function follow(arrived: Promise<boolean>, about: About, message: MinerMessage): Promise<void> {
    if (await arrived) return deliver(about)
    if (!about.delivered) await say(about, message)
  }

  async function deliver(about: About): Promise<void> {
    about.delivered = true
    arrivedEnds.add(about.id)
    await markDelivered(db, about.id, now()).finally(() => arrivedEnds.delete(about.id))
  }

  function listeners({ home, validator }: About): ValidatorSession[] {
    if (home.open) return [home.open]
    return sessions.of(validator).filter(({ isOpen, number }) => isOpen && number > home.number)
  }

  async function tellMissed(session: ValidatorSession): Promise<void> {
    for (const job of live.of(session.validator)) await tell(job)
    const since = new Date(clock.now() - keepMs)
    // One at a time: a result may be large, and there may be many.
    for (const id of await jobsDue(db, session.validator, since)) {
      if (!session.isOpen) return
      const row = await jobDue(db, id)
      if (!row || arrivedEnds.has(id) || live.find(row.validator, row.uuid)) continue
      await session.tellOnce(id, endOf(row)).said
    }
  }

  async function tellOthers(session: ValidatorSession): Promise<void> {
    for (const job of live.of(session.validator)) if (job.home.has(session)) await tell(job)
  }

  async function tellEnd(found: JobRow, session: ValidatorSession): Promise<void> {
    // Open without a driver: the database was away when its end was to be stored.
    const row = isFinal(found.state) ? found : await abandon(found)
    const end = endOf(row)
    // Who was declined hears so each time that it asks: it has nothing to lose by it.
    if (row.state === 'rejected') await session.say(end)
    else await say({ id: row.id, validator: row.validator, home: new Home(session), delivered: false }, end)
  }

  async function abandon(row: JobRow): Promise<JobRow> {
    const { uuid: jobUuid, validator, state: from, id } = row
    const ended = await abandonJob(db, id, now())
    if (ended) log.warn({ jobUuid, validator, from, to: ended.state, reason: ended.reason }, 'job moved')
    return ended ?? row
  }

  return {
    arrived: session => inBackground(tellMissed(session)),
    left: session => inBackground(tellOthers(session)),
    tell,
    tellEnd,
    async [Symbol.asyncDispose]() {
      while (background.size > 0) await Promise.all(background)
    },
  }
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
