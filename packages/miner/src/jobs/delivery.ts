/**
 * Sends validators the messages about their jobs, chooses the connection for each, and records what was delivered.
 *
 * A job's messages go to its origin: the connections that offered it or sent its work. When those are closed, they go
 * to the connections of the same validator that were authenticated later; in v2026, where other jobs have connections
 * of their own, after the loss. An end is delivered once a connection of the
 * origin has read it; sent elsewhere it stays undelivered, and later connections get it too. Later connections of v2026
 * get it until its receipt is there. See docs/protocol.md, "Several connections" and "Lost connections".
 */
import type { Clock } from '@horde/kit/time'
import type { JobReport } from '@horde/protocol/job/messages'
import { isFinal } from '@horde/protocol/job-state'
import { jobOf, markDelivered, unconfirmedJobs, undeliveredJob, undeliveredJobs } from '../db/jobs.ts'
import type { JobRow } from '../db/schema.ts'
import type { ValidatorConnection, ValidatorConnections } from '../validators/validator-connection.ts'
import { type LiveJob, type LiveJobs, Origin } from './live-job.ts'
import { StoredJob, type TransitionDeps, transition } from './transition.ts'
import { endReport, isLarge, type JobStep, reportAbout, reportOf, reportsUntilNow } from './validator-message.ts'

/** Disposing of it waits until what was delivered is stored; the connections must be closed by then. */
export type Delivery = AsyncDisposable & {
  /** Sends a new connection what it may have missed, in the background: an offer on it need not wait. */
  opened(connection: ValidatorConnection): void
  /** Sends other connections what a closed one may have missed, in the background. */
  closed(connection: ValidatorConnection): void
  /** Sends a report about a job, where it was not sent yet. */
  send(job: LiveJob, report: JobReport): Promise<void>
  /** Sends what a validator that may have missed it must know of the job's state. */
  resend(job: LiveJob): Promise<void>
  /** Records that a validator has a job's end. */
  delivered(job: { id: number; isDelivered: boolean }): Promise<void>
  /** Sends the end of a job that this process does not drive on a connection that asked for it. */
  sendEnd(job: JobRow, connection: ValidatorConnection): Promise<void>
}

export type DeliveryDeps = TransitionDeps & {
  live: LiveJobs
  connections: ValidatorConnections
  clock: Clock
  /** How long an undelivered end is sent to new connections, in milliseconds. */
  keepMs: number
}

/** What sending needs to know of a job. */
type Addressed = Pick<LiveJob, 'id' | 'validator' | 'origin' | 'isDelivered'> & {
  row: JobRow
  steps: readonly JobStep[]
  listeners: Iterable<ValidatorConnection>
}

export function openDelivery(deps: DeliveryDeps): Delivery {
  const { db, live, connections, clock, log, keepMs } = deps
  /** Ends that were read, until that is stored. */
  const readEnds = new Set<number>()
  const background = new Set<Promise<void>>()
  /** Validators of v2026 that lack nothing: they ask for the manifest often, which must cost next to nothing. */
  const settled = new Set<string>()
  const unconfirmed = new UnconfirmedEnds(clock)

  function inBackground(work: Promise<void>): void {
    const task: Promise<void> = work
      .catch(err => log.error({ err }, 'messages about jobs could not be sent'))
      .finally(() => background.delete(task))
    background.add(task)
  }

  async function send(job: Addressed, report: JobReport | undefined): Promise<void> {
    if (job.isDelivered) return
    const sendOn = async (connection: ValidatorConnection) => {
      for (const due of dueOn(connection, job, report)) {
        const sending = connection.sendOnce(job.id, due)
        if (isEnd(due) && job.origin.has(connection)) inBackground(follow(sending.read, job, due, connection))
        await sending.sent
      }
    }
    const to = recipients(job)
    if (!isLarge(job.row)) return void (await Promise.all(to.map(sendOn)))
    for (const connection of to) if (!job.isDelivered) await sendOn(connection)
  }

  async function resend(job: LiveJob): Promise<void> {
    await send(job, missedReport(job))
  }

  /** Sends an end that the origin may not have read to the connections that may get it instead. */
  async function follow(
    read: Promise<boolean>,
    job: Addressed,
    report: JobReport,
    { dialect }: ValidatorConnection,
  ): Promise<void> {
    if (!(await read)) return send(job, report)
    // A validator of v2026 may lose the end with its process: only the receipt ends the repeats.
    if (dialect.name === 'v2026') await storeDelivered(job.id)
    else await deliver(job)
  }

  async function deliver(job: { id: number; isDelivered: boolean }): Promise<void> {
    job.isDelivered = true
    unconfirmed.delete(job.id)
    await storeDelivered(job.id)
  }

  async function storeDelivered(id: number): Promise<void> {
    readEnds.add(id)
    await markDelivered(db, id, new Date(clock.now())).finally(() => readEnds.delete(id))
  }

  function recipients({ origin, validator, listeners }: Addressed): ValidatorConnection[] {
    if (origin.open) return [origin.open]
    const authenticated = connections
      .of(validator)
      .filter(({ number }) => number > origin.number)
      .filter(({ dialect, openedAt }) => dialect.name === 'v0' || openedAt >= origin.lostAt)
    return [...authenticated, ...listeners].filter(({ isOpen }) => isOpen)
  }

  async function sendMissed(connection: ValidatorConnection): Promise<void> {
    for (const job of live.of(connection.validator)) await resend(job)
    const isOf2026 = connection.dialect.name === 'v2026'
    if (isOf2026 && settled.has(connection.validator)) return
    const since = new Date(clock.now() - (isOf2026 ? Math.min(keepMs, KEEP_OF_2026_MS) : keepMs))
    // One at a time: a result may be large, and there may be many.
    const idsSince = isOf2026 ? unconfirmedJobs : undeliveredJobs
    const ids = await idsSince(db, connection.validator, since)
    if (isOf2026 && ids.length === 0 && live.of(connection.validator).length === 0) settled.add(connection.validator)
    for (const id of ids) {
      if (!connection.isOpen) return
      const row = await (isOf2026 ? jobOf : undeliveredJob)(db, id)
      const isThere = isOf2026 ? unconfirmed.isConnected(id) : readEnds.has(id)
      if (!row || isThere || live.find(row.validator, row.uuid)) continue
      for (const due of dueOn(connection, { row, steps: [] }, endReport(row))) await connection.sendOnce(id, due).sent
    }
  }

  async function sendOthers(closed: ValidatorConnection): Promise<void> {
    for (const job of live.of(closed.validator)) if (job.origin.has(closed)) await resend(job)
  }

  async function sendEnd(found: JobRow, connection: ValidatorConnection): Promise<void> {
    const job = new StoredJob(found)
    // Open although no process drives it: the database was away when its end was to be stored.
    if (!isFinal(job.state)) await transition(job, 'stopped', { reason: 'abandoned' }, deps)
    if (job.isDropped) return
    const end = endReport(job.row)
    // A declined offer is answered each time: its validator has no job to lose.
    if (job.state === 'rejected') await connection.report(end)
    else {
      const { id, validator, row } = job
      const origin = new Origin(connection)
      if (connection.dialect.name === 'v2026') unconfirmed.add(id, origin)
      await send({ id, validator, row, steps: [], listeners: [], origin, isDelivered: false }, end)
    }
  }

  return {
    opened: connection => inBackground(sendMissed(connection)),
    closed: connection => inBackground(sendOthers(connection)),
    send(job, report) {
      settled.delete(job.validator)
      if (job.dialect === 'v2026' && isEnd(report)) unconfirmed.add(job.id, job.origin)
      return send(job, report)
    },
    resend,
    delivered: deliver,
    sendEnd,
    async [Symbol.asyncDispose]() {
      while (background.size > 0) await Promise.all(background)
    },
  }
}

/** How long an end is sent to new connections of a validator of v2026, in milliseconds, unless its receipt comes. */
const KEEP_OF_2026_MS = 600_000

/** The connections that know of ends whose receipt is not there: while one is open, no other gets the end. */
class UnconfirmedEnds {
  readonly #byId = new Map<number, { origin: Origin; until: number }>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(id: number, origin: Origin): void {
    const now = this.#clock.monotonic()
    for (const [old, { until }] of this.#byId) {
      if (until > now) break
      this.#byId.delete(old)
    }
    this.#byId.delete(id)
    this.#byId.set(id, { origin, until: now + KEEP_OF_2026_MS })
  }

  delete(id: number): void {
    this.#byId.delete(id)
  }

  isConnected(id: number): boolean {
    return this.#byId.get(id)?.origin.open !== undefined
  }
}

/** Validators of v2026 wait for each report in turn, so those before the last one go out first, if they have not yet. */
function dueOn(
  { dialect }: ValidatorConnection,
  { row, steps }: Pick<Addressed, 'row' | 'steps'>,
  report: JobReport | undefined,
): readonly JobReport[] {
  if (dialect.name === 'v2026') return reportsUntilNow(row, steps)
  return report === undefined ? [] : [report]
}

function isEnd({ type }: JobReport): boolean {
  return type !== 'accept' && type !== 'ready' && type !== 'volumes-ready' && type !== 'execution-done'
}

/** Returns the report that a validator may have missed. An acceptance is repeated only when the job is offered again. */
function missedReport(job: LiveJob): JobReport | undefined {
  // Neither the executor nor the miner has the work. The validator sends it again when it receives ready again.
  if (job.state === 'running' && job.isWorkLost) return reportOf('ready', job)
  return job.state === 'accepted' ? undefined : reportAbout(job.row)
}
