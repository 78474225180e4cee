/**
 * Runs a user's job of v2026, for which this validator picks the miner. Resuming is starting with a stored job: what
 * became of its tries so far is read first.
 */
import { randomUUID } from 'node:crypto'
import { secondsOf } from '@horde/protocol/job/request'
import { isFinal, type JobState } from '@horde/protocol/job-state'
import { v0Obstacle } from '@horde/protocol/v0/job-codec'
import type { V0JobStatusUpdate, V2JobRequest } from '@horde/protocol/v2026/facilitator-validator'
import { userJobText } from '@horde/protocol/v2026/signing/user-signature'
import { untilSaved } from '../../db/journal.ts'
import type { Refusal } from '../../db/json-columns.ts'
import {
  addUserJob,
  endUserJob,
  findUserJob,
  type StoredTry,
  type StoredUserJob,
  TOO_LATE,
  triesOf,
  unreportedUserJobs,
} from '../../db/users/user-jobs.ts'
import type { ServingMiner } from '../../jobs/miners/find-miners.ts'
import type { MinerPicker, Wanted } from '../../jobs/miners/pick-miner.ts'
import { abandonJobs, openJobs } from '../../jobs/transition.ts'
import { progressTeller, stageUpdate, userJobOf } from '../dialects/v2026.ts'
import { type DriveOrganicDeps, driveOrganicJob } from '../drive-organic-job.ts'
import type { ReceivedRequest } from '../facilitator-frame.ts'
import type { OrganicLimits } from '../organic-job.ts'
import { REPORT_WITHIN_MS, type ResumableJob } from '../run-organic-job.ts'
import type { Progress } from '../user-job.ts'
import { problemOf } from './check-job.ts'
import { type MaybeSent, mayBeSent, mayTryAgain } from './try-again.ts'
import { untilDone } from './until-done.ts'
import { checkSignature, type SignatureRules } from './user-signature.ts'

/** How long connecting to a picked miner may take, in ms: another one can be tried. */
const CONNECT_MS = 15_000

export interface UserJobDeps extends DriveOrganicDeps {
  picker: Pick<MinerPicker, 'pick'>
  /** Returns the miner for jobs that must run on a trusted one; undefined when none is set. */
  trustedMiner(): Promise<ServingMiner | undefined>
  rules: SignatureRules
  limits: OrganicLimits
  /** On how many miners a job is tried. */
  maxTries: number
  /** How long a job's three stages may take together, in seconds. */
  maxSeconds: number
  /** Whether a job that a stop interrupts stays open, so that the next start resumes it. */
  keepOpen: boolean
}

type Report = (update: V0JobStatusUpdate) => void

/**
 * Runs a job, and reports how far it is, whatever happens. A uuid that was asked for before is not run again: its end is
 * reported again. Never rejects.
 */
export async function runUserJob(
  { request, received }: ReceivedRequest<V2JobRequest>,
  deps: UserJobDeps,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const { db, rules, maxSeconds, clock, log } = deps
  const tell = progressTeller(request.uuid, report)
  const refuse = (refusal: Refusal) => {
    log.info({ jobUuid: request.uuid, ...refusal }, 'job of a user refused')
    tell({ type: 'refused', refusal })
  }
  const problem = problemOf(request, maxSeconds)
  if (problem !== undefined) return refuse({ reason: 'unknown', message: problem })
  try {
    const known = await untilSaved(() => findUserJob(db, request.uuid), deps, signal)
    if (known) return await tellAgain(known, deps, report, signal)
    const checked = checkSignature(request.signature, [userJobText(request, received)], rules, clock.now())
    if (!checked.ok) return refuse({ reason: 'invalid-signature', message: checked.problem })
    const { signatory } = checked
    const by = { signatory, signed: rules.once ? checked.signed : null, createdAt: new Date(clock.now()) }
    let tries = 0
    const job = await untilSaved(() => addUserJob(db, request, by, tries++ > 0), deps, signal)
    if (job === 'used') return refuse({ reason: 'invalid-signature', message: 'signature: was used for another job' })
    if (job === 'known') return
    tell({ type: 'received' })
    await followToEnd(job, deps, async () => tell, signal)
  } catch (err) {
    // Only what comes before the job is stored rejects.
    if (signal.aborted) return
    log.error({ err, jobUuid: request.uuid }, 'job of a user could not be stored')
    tell({ type: 'not-given' })
  }
}

/** Returns the jobs to resume. Call it before the first new job is started, or that one would be among them. */
export async function resumableUserJobs(
  deps: UserJobDeps,
  signal: AbortSignal,
): Promise<ResumableJob<V0JobStatusUpdate>[]> {
  const endedSince = new Date(deps.clock.now() - REPORT_WITHIN_MS)
  const stored = await untilSaved(() => unreportedUserJobs(deps.db, endedSince), deps, signal)
  return stored.map(job => ({ uuid: job.uuid, run: (report, stopped) => resume(job, deps, report, stopped) }))
}

async function resume(job: StoredUserJob, deps: UserJobDeps, report: Report, signal: AbortSignal): Promise<void> {
  const { uuid, endedAt } = job
  if (endedAt !== null) return await tellAgain(job, deps, report, signal)
  deps.log.warn({ jobUuid: uuid }, 'job of a user resumed')
  await followToEnd(job, deps, () => resumedTeller(uuid, deps, report, signal), signal)
}

/**
 * Returns what tells the stages that an earlier process did not tell, as far as the rows of the tries show them. The last
 * one may not have arrived and is told again, unless the miner had the work: then a later one may have been told.
 */
async function resumedTeller(uuid: string, deps: UserJobDeps, report: Report, signal: AbortSignal): Promise<Tell> {
  const tries = await untilSaved(() => triesOf(deps.db, uuid), deps, signal)
  const isReady = tries.some(({ readyAt }) => readyAt !== null)
  const told = isReady ? 'ready' : tries.some(({ acceptedAt }) => acceptedAt !== null) ? 'accepted' : 'received'
  if (tries.every(({ runningAt }) => runningAt === null)) report(stageUpdate(uuid, told))
  return progressTeller(uuid, report, told)
}

type Tell = (progress: Progress) => void

/**
 * Reports the end of a job that was asked for before. One that has not ended is reported by the process that runs it.
 * Never rejects.
 */
function tellAgain(job: StoredUserJob, deps: UserJobDeps, report: Report, signal: AbortSignal): Promise<void> {
  const { uuid, endedAt, refusal } = job
  // Every stage may have been told.
  const tell = progressTeller(uuid, report, 'execution-done')
  const step = async () => {
    if (endedAt === null) return
    const last = refusal ? undefined : (await triesOf(deps.db, uuid)).at(-1)
    if (refusal) tell({ type: 'refused', refusal })
    else if (last && isFinal(last.state)) tell({ type: 'ended', end: { ...last, state: last.state } })
  }
  return untilDone(uuid, step, deps, signal)
}

/**
 * Tries the job on one miner after the other until it has run or no miner is left, and reports its end. Retries while the
 * chain or the database is away. Never rejects.
 */
function followToEnd(
  job: StoredUserJob,
  deps: UserJobDeps,
  teller: () => Promise<Tell>,
  signal: AbortSignal,
): Promise<void> {
  const maybeSent: MaybeSent = new Set()
  let tell: Tell | undefined
  const step = async () => {
    tell ??= await teller()
    await follow(job, { ...deps, maybeSent }, tell, signal)
  }
  return untilDone(job.uuid, step, deps, signal)
}

type FollowDeps = UserJobDeps & { maybeSent: MaybeSent }

async function follow(job: StoredUserJob, deps: FollowDeps, tell: Tell, signal: AbortSignal): Promise<void> {
  const { db, clock, maxTries, maybeSent } = deps
  for (;;) {
    const tries = await untilSaved(() => triesOf(db, job.uuid), deps, signal)
    const last = tries.at(-1)
    if (last && !isFinal(last.state)) {
      // Another process has finalised it, and reports it.
      if (!(await drive(job, last, true, deps, tell, signal))) return
      continue
    }
    const isTried = mayTryAgain(job, tries, { maxTries, now: clock.now(), maybeSent })
    const next = isTried ? await openTry(job, tries, deps, signal) : undefined
    if (next && 'job' in next) {
      if (!(await drive(job, next.job, false, deps, tell, signal))) return
      continue
    }
    const refusal = last !== undefined ? null : next && 'refusal' in next ? next.refusal : TOO_LATE
    await untilSaved(() => endUserJob(db, job.uuid, new Date(clock.now()), refusal), deps, signal)
    if (refusal) return tell({ type: 'refused', refusal })
    if (last && isFinal(last.state)) tell({ type: 'ended', end: { ...last, state: last.state } })
    return
  }
}

type OpenedTry = { job: Parameters<typeof driveOrganicJob>[0] & { deadline: Date | null } } | { refusal: Refusal }

/** Picks a miner that was not tried yet, and stores the try. */
async function openTry(
  { uuid, request }: StoredUserJob,
  tries: readonly StoredTry[],
  deps: UserJobDeps,
  signal: AbortSignal,
): Promise<OpenedTry> {
  // Receipts name a job by its uuid, and each has one of a kind. So each further try has a uuid of its own.
  const tryUuid = tries.length === 0 ? uuid : randomUUID()
  const { work } = userJobOf(request, tryUuid)
  const open = (miner: ServingMiner) => storeTry(miner, tryUuid, { uuid, request }, deps)
  if (request.on_trusted_miner) {
    const trusted = await deps.trustedMiner()
    if (trusted === undefined) return noMiner('This validator has no trusted miner.')
    return { job: await open(trusted) }
  }
  const wanted: Wanted = {
    executorClass: request.executor_class,
    obstacle: v0Obstacle(work),
    tried: new Set(tries.map(({ minerHotkey }) => minerHotkey)),
  }
  const picked = await deps.picker.pick(wanted, open, signal)
  return 'picked' in picked ? { job: picked.picked } : noMiner(picked.refusal)
}

function noMiner(message: string): OpenedTry {
  return { refusal: { reason: 'no-miner', message } }
}

async function storeTry(
  { hotkey, uid, address }: ServingMiner,
  tryUuid: string,
  { uuid, request }: Pick<StoredUserJob, 'uuid' | 'request'>,
  { db, clock, log, ...deps }: UserJobDeps,
) {
  const { connectMs, acceptMs = 0, readyMs, jobMs } = limitsOf(request, deps)
  const now = clock.now()
  const newJob = {
    ...{ uuid: tryUuid, userJob: uuid, minerHotkey: hotkey, minerUid: uid, minerAddress: address },
    ...{ executorClass: request.executor_class, source: 'facilitator' as const, timeoutSeconds: jobMs / 1000 },
    deadline: new Date(now + connectMs + acceptMs + readyMs + jobMs),
  }
  const { opened, added } = await openJobs(db, [newJob], { batchId: null, at: new Date(now) })
  const [job] = opened
  if (!job || added === 0) throw new Error('a job with this uuid was run already')
  log.info({ jobUuid: uuid, try: tryUuid, miner: hotkey, uid }, 'miner picked for the job of a user')
  return job
}

/** The limits of one try. A miner answers an offer at once, or another one is tried. */
function limitsOf(request: StoredUserJob['request'], { limits }: Pick<UserJobDeps, 'limits'>): OrganicLimits {
  const seconds = secondsOf(userJobOf(request, request.uuid).limits) ?? 0
  const connectMs = request.on_trusted_miner ? limits.connectMs : Math.min(CONNECT_MS, limits.connectMs)
  return { ...limits, connectMs, acceptMs: limits.reservationMs, jobMs: seconds * 1000 }
}

const STATES: Partial<Record<JobState, 'accepted' | 'ready'>> = { accepted: 'accepted', ready: 'ready' }

/** Drives one try to its end. Returns false when another process finalised it. */
async function drive(
  { request }: StoredUserJob,
  job: Extract<OpenedTry, { job: unknown }>['job'],
  isResumed: boolean,
  deps: FollowDeps,
  tell: Tell,
  signal: AbortSignal,
): Promise<boolean> {
  const { db, clock, log, keepOpen, maybeSent } = deps
  const { deadline } = job
  if (!deadline || deadline.getTime() <= clock.now()) {
    const open = { uuid: job.uuid, state: job.state }
    return (await untilSaved(() => abandonJobs(db, [open], new Date(clock.now()), log), deps, signal)) > 0
  }
  const how = {
    ...{ asked: userJobOf(request, job.uuid), limits: limitsOf(request, deps), deadline },
    ...{ isResumed, keepOpen, keepsReport: true },
    onStage: (type: 'volumes-ready' | 'execution-done') => tell({ type }),
    onMoved: (state: JobState) => {
      const type = STATES[state]
      if (type) tell({ type })
    },
  }
  const isKnown = !maybeSent.has(job.uuid) && !(isResumed && mayBeSent(job))
  maybeSent.add(job.uuid)
  const result = await driveOrganicJob(job, how, deps, signal)
  // The row of a try that one process has driven to its end shows whether the work was sent.
  if (isKnown) maybeSent.delete(job.uuid)
  return result !== undefined
}
