/**
 * The miner's whole part in one job: an executor is started, and then, until the job is final: hear, advance, save,
 * say on. Whatever the end, the executor is stopped and its place given back.
 */
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { LARGEST_WORK_BYTES } from '@horde/protocol/frame'
import { advance, isFinal, isInOrder, JOB_MESSAGES, type JobEvent, type JobMessage } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import { MAX_OUTPUT_CHARACTERS, shorten } from '@horde/protocol/shorten'
import { moveJob } from './db/jobs.ts'
import type { JobResult } from './db/schema.ts'
import type { StartedExecutor } from './horde/manager.ts'
import { type Deadlines, stageDeadline } from './jobs/deadlines.ts'
import { endExecutor } from './jobs/end-executor.ts'
import type { ExecutorLines, JobReport, JobWord } from './jobs/executor-line.ts'
import type { LiveJob, LiveJobs } from './jobs/live-job.ts'
import type { News } from './jobs/news.ts'
import { obtainExecutor } from './jobs/obtain-executor.ts'
import type { JobCounters } from './operator/metrics/job-counters.ts'

/** How long the database may be away before the next try to save a job's move, in milliseconds. */
const SAVE_AGAIN_MS = 1_000

/** For the validator of a job whose executor would close the connection for its work, and be of no use any more. */
const TOO_LARGE: JobResult = {
  exitStatus: null,
  stdout: `The work is larger than the ${LARGEST_WORK_BYTES} bytes that this executor takes`,
  stderr: '',
}

export type RunJobDeps = {
  db: Database
  live: LiveJobs
  lines: ExecutorLines
  news: News
  deadlines: Deadlines
  counters: JobCounters
  clock: Clock
  log: Log
}

/** Drives a job to its end. Aborting `signal` ends it as broken. Rejects for nothing but a fault of ours. */
export async function runJob(job: LiveJob, deps: RunJobDeps, signal: AbortSignal): Promise<void> {
  let executor: StartedExecutor | undefined
  try {
    const obtained = await obtainExecutor(job, deps, signal)
    if (typeof obtained !== 'string') executor = obtained
    if (obtained !== 'none') await drive(job, deps, signal)
    else if (signal.aborted) await move(job, 'stopped', { reason: 'stopped' }, deps, signal)
    else await move(job, 'executor exited', { reason: missing(job) }, deps, signal)
  } finally {
    const ended = endExecutor(job, executor, deps)
    // A validator may take long to read the end, and the next job waits for the executor to leave.
    await Promise.all([ended, job.endTold]).finally(() => ended)
  }
}

function missing({ recovery, state }: LiveJob): Reason {
  return recovery && state !== 'accepted' ? 'executor-exited' : 'executor-not-started'
}

async function drive(job: LiveJob, deps: RunJobDeps, signal: AbortSignal): Promise<void> {
  const { clock } = deps
  // One that an earlier run had is away until it comes back, and the stage that it is in began then.
  let lostAt = isAway(job) ? clock.monotonic() : undefined
  let stageSince = clock.monotonic() - (job.recovery ? Math.max(0, clock.now() - job.movedAt) : 0)
  while (!isFinal(job.state)) {
    const stage = stageDeadline(job, deps.deadlines)
    const grace = lostAt === undefined ? Number.POSITIVE_INFINITY : lostAt + deps.deadlines.graceMs
    const until = Math.min(stageSince + stage.ms, grace)
    const word = await nextWord(job, Math.max(0, until - clock.monotonic()), signal)
    const before = job.state
    if (word === 'stopped') await move(job, 'stopped', { reason: 'stopped' }, deps, signal)
    else if (word === undefined) {
      const late = until === grace
      const reason = late ? 'executor-lost' : stage.reason
      await move(job, late ? 'connection lost' : 'timed out', { reason }, deps, signal)
    } else if (word.from === 'executor' && 'connected' in word) {
      lostAt = word.connected ? undefined : clock.monotonic()
      if (word.connected) deps.counters.connected(job)
      if (word.connected) await briefExecutor(job, deps, signal)
    } else await hear(word, job, deps, signal)
    if (job.state !== before) stageSince = clock.monotonic()
  }
}

/** Whether it had an executor in an earlier run that is still to come back. */
function isAway({ recovery, state }: LiveJob): boolean {
  return recovery !== undefined && (recovery.executor !== undefined || state !== 'accepted')
}

async function nextWord(job: LiveJob, ms: number, signal: AbortSignal): Promise<JobWord | undefined | 'stopped'> {
  try {
    return await job.words.next(ms, signal)
  } catch (error) {
    if (signal.aborted) return 'stopped'
    throw error
  }
}

/** What an executor that has just connected, or come back, must know: it ignores what it has heard before. */
async function briefExecutor(job: LiveJob, deps: RunJobDeps, signal: AbortSignal): Promise<void> {
  if (job.state === 'accepted') {
    const { job_uuid, base_docker_image_name, timeout_seconds, volume_type } = job.offer
    const offer = { job_uuid, base_docker_image_name, timeout_seconds, volume_type, capabilities: ['large-frames'] }
    await job.executor.say({ message_type: 'V0PrepareJobRequest', ...offer })
  }
  if (job.state !== 'running' || !job.work) return
  const work = { ...job.work, message_type: 'V0RunJobRequest' as const }
  if (job.executor.takes(work)) await job.executor.say(work)
  else await move(job, 'V0JobFailedRequest', { reason: 'work-too-large', result: TOO_LARGE }, deps, signal)
}

type Spoken = Exclude<JobWord, { connected: boolean }>

async function hear(word: Spoken, job: LiveJob, deps: RunJobDeps, signal: AbortSignal): Promise<void> {
  if (word.from === 'manager') {
    deps.log.debug({ jobUuid: job.uuid, how: word.exited }, 'executor exited')
    return move(job, 'executor exited', { reason: 'executor-exited' }, deps, signal)
  }
  if (word.from === 'validator') {
    job.workLost = false
    await move(job, 'V0JobRequest', {}, deps, signal)
    if (job.state === 'running') await briefExecutor(job, deps, signal)
    return
  }
  if (isAskingForWork(word.message, job)) {
    job.workLost = true
    return deps.news.tell(job)
  }
  const { event, result, reason } = asJobMessage(word.message)
  await move(job, event, { reason, result, isAnswer: event !== 'V0ExecutorReadyRequest' }, deps, signal)
}

/** It says ready on a new connection although the job runs: the work was lost with the miner that had it. */
function isAskingForWork({ message_type }: JobReport, { state, work }: LiveJob): boolean {
  return message_type === 'V0ReadyRequest' && state === 'running' && work === undefined
}

type Heard = { event: JobMessage; result?: JobResult; reason?: Reason }

/** An executor's word in the words of the validator's link: coming up, nothing else is translated. */
function asJobMessage(message: JobReport): Heard {
  switch (message.message_type) {
    case 'V0ReadyRequest':
      return { event: 'V0ExecutorReadyRequest' }
    case 'V0FailedToPrepare':
      return { event: 'V0ExecutorFailedRequest', reason: 'prepare-failed' }
    case 'V0FinishedRequest':
      return { event: 'V0JobFinishedRequest', result: resultOf(message, 0) }
    case 'V0FailedRequest': {
      const status = message.docker_process_exit_status
      const reason = message.timeout ? 'time-limit' : status === null ? 'not-run' : 'exit-status'
      return { event: 'V0JobFailedRequest', result: resultOf(message, status), reason }
    }
  }
}

function resultOf(
  message: { docker_process_stdout: string; docker_process_stderr: string },
  exitStatus: number | null,
): JobResult {
  const { docker_process_stdout: stdout, docker_process_stderr: stderr } = message
  return {
    exitStatus,
    stdout: shorten(stdout, MAX_OUTPUT_CHARACTERS),
    stderr: shorten(stderr, MAX_OUTPUT_CHARACTERS),
  }
}

function isWord(event: JobEvent): event is JobMessage {
  return (JOB_MESSAGES as readonly string[]).includes(event)
}

type Circumstances = {
  reason?: Reason | undefined
  result?: JobResult | undefined
  /** Whether the executor has said this, as the last that it says. */
  isAnswer?: boolean
}

/** Advances the job, saves it, logs it, and only then says it. Resolves when it was said, but of an end at once: see `endTold`. */
async function move(
  job: LiveJob,
  event: JobEvent,
  why: Circumstances,
  deps: RunJobDeps,
  signal: AbortSignal,
): Promise<void> {
  const from = job.state
  const to = advance(from, event)
  if (to === from) return
  const known = to === 'failed' || to === 'finished'
  const reason = isWord(event) && !isInOrder(from, event) ? 'out-of-order' : why.reason
  const result = known ? why.result : undefined
  const work = to === 'running' ? job.work : undefined
  await save(job, { event, to, reason, result, work }, deps, signal)
  Object.assign(job, { state: to, reason, result, wasReady: job.wasReady || to === 'ready', movedAt: deps.clock.now() })
  deps.log.info({ jobUuid: job.uuid, validator: job.validator, from, to, ...(reason && { reason }) }, 'job moved')
  deps.counters.moved(job, from)
  // Before it is told: the next offer may come right behind.
  if (why.isAnswer) job.leaving = job.reservation.leave()
  const told = deps.news.tell(job)
  if (isFinal(to)) job.endTold = told
  else await told
}

/**
 * Until the database has it: a result is not let go because Postgres restarts. A miner that stops tries once: its
 * executors must be stopped too, and the next start ends what is stored as open.
 */
async function save(
  job: LiveJob,
  change: Parameters<typeof moveJob>[2],
  { db, clock, log }: RunJobDeps,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      const moved = await moveJob(db, job.id, change, new Date(clock.now()))
      if (!moved) log.error({ jobUuid: job.uuid, to: change.to }, 'job was moved by somebody else')
      return
    } catch (err) {
      log.error({ err, jobUuid: job.uuid, to: change.to }, 'job could not be saved')
      if (signal.aborted) return
      await clock.sleep(SAVE_AGAIN_MS, signal).catch(() => {})
    }
  }
}
