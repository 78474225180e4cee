/**
 * Drives one job to its end: obtains an executor, then waits for the next event and moves the job, until the job is
 * over. At every end the executor is stopped and its slot given back. A resumed job takes the same path as a new one.
 */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { LARGEST_WORK_BYTES } from '@horde/protocol/frame'
import { isLostInput, type JobReport, type OfferMessage, type WorkMessage } from '@horde/protocol/job/messages'
import type { JobOutput, Printed } from '@horde/protocol/job/report'
import { isFinal, type JobEvent } from '@horde/protocol/job-state'
import type { JobUuid } from '@horde/protocol/primitives'
import type { Reason } from '@horde/protocol/reasons'
import { MAX_OUTPUT_CHARACTERS, shorten } from '@horde/protocol/shorten'
import type { JobResult } from '../db/schema.ts'
import { endExecutor } from '../executors/end-executor.ts'
import type { DriverEvent, ExecutorChannels } from '../executors/executor-channel.ts'
import { obtainExecutor } from '../executors/obtain-executor.ts'
import type { StartedExecutor } from '../horde/manager.ts'
import type { JobCounters } from '../operator/metrics/job-counters.ts'
import { type Deadlines, stageDeadline } from './deadlines.ts'
import type { Delivery } from './delivery.ts'
import type { LiveJob, LiveJobs } from './live-job.ts'
import { type Change, type TransitionDeps, transition } from './transition.ts'
import type { JobStep } from './validator-message.ts'

/** The result of a job whose work is too large for its executor: sending it would only close the connection. */
const TOO_LARGE: JobResult = {
  exitStatus: null,
  stdout: `The work is larger than the ${LARGEST_WORK_BYTES} bytes that this executor takes`,
  stderr: '',
}

export type DriveJobDeps = TransitionDeps & {
  live: LiveJobs
  channels: ExecutorChannels
  delivery: Delivery
  deadlines: Deadlines
  counters: JobCounters
  clock: Clock
  log: Log
}

/** Drives a job to its end. Aborting `signal` ends it as broken. Rejects only for a bug of ours. */
export async function driveJob(job: LiveJob, deps: DriveJobDeps, signal: AbortSignal): Promise<void> {
  let executor: StartedExecutor | undefined
  try {
    const obtained = await obtainExecutor(job, deps, signal)
    if (typeof obtained !== 'string') executor = obtained
    if (obtained !== 'none') await moveUntilOver(job, deps, signal)
    else if (signal.aborted) await move(job, 'stopped', { reason: 'stopped' }, deps, signal)
    else await move(job, 'executor exited', { reason: reasonForNone(job) }, deps, signal)
  } finally {
    // An executor whose result is not stored must not take the answer to its close for the receipt.
    if (!job.isUnsaved) job.channel.over()
    const ended = endExecutor(job, executor, deps)
    // A validator may take long to read the end, and the next job waits for the executor to leave.
    await Promise.all([ended, job.endSent]).finally(() => ended)
  }
}

function reasonForNone({ state }: LiveJob): Reason {
  return state === 'accepted' ? 'executor-not-started' : 'executor-exited'
}

async function moveUntilOver(job: LiveJob, deps: DriveJobDeps, signal: AbortSignal): Promise<void> {
  const { clock } = deps
  let lostAt = job.start.isAway ? clock.monotonic() : undefined
  let stageSince = clock.monotonic() - job.start.stageAgeMs
  while (!job.isOver) {
    const stage = stageDeadline(job, deps.deadlines)
    const grace = lostAt === undefined ? Number.POSITIVE_INFINITY : lostAt + deps.deadlines.graceMs
    const until = Math.min(stageSince + stage.ms, grace)
    const event = await nextEvent(job, Math.max(0, until - clock.monotonic()), signal)
    const before = job.state
    if (event === 'stopped') await move(job, 'stopped', { reason: 'stopped' }, deps, signal)
    else if (event === undefined) {
      const isLost = until === grace
      const reason = isLost ? 'executor-lost' : stage.reason
      await move(job, isLost ? 'connection lost' : 'timed out', { reason }, deps, signal)
    } else if (event.from === 'executor' && 'connected' in event) {
      lostAt = event.connected ? undefined : clock.monotonic()
      if (event.connected) deps.counters.connected(job)
      if (event.connected) await briefExecutor(job, deps, signal)
      const { dialect } = job.channel
      if (event.connected) deps.log.debug({ jobUuid: job.uuid, dialect }, 'executor connected')
    } else await handle(event, job, deps, signal)
    if (job.state !== before) stageSince = clock.monotonic()
  }
}

/** The next event; undefined when `ms` milliseconds brought none; 'stopped' when the signal was aborted. */
async function nextEvent(job: LiveJob, ms: number, signal: AbortSignal): Promise<DriverEvent | undefined | 'stopped'> {
  try {
    return await job.events.next(ms, signal)
  } catch (error) {
    if (signal.aborted) return 'stopped'
    throw error
  }
}

/** Sends a newly connected or reconnected executor its messages. The executor ignores those that it already has. */
async function briefExecutor(job: LiveJob, deps: DriveJobDeps, signal: AbortSignal): Promise<void> {
  if (job.state === 'accepted') {
    const offer = offerOf(job)
    if (offer === undefined) return breakWithoutInput(job, deps, signal)
    const obstacle = job.channel.obstacleTo(offer)
    if (obstacle !== undefined) return breakFor(obstacle, job, deps, signal)
    await job.channel.send(offer)
  }
  if (job.state !== 'running' || !job.work) return
  const work = { ...job.work, type: 'work' as const }
  const obstacle = job.channel.obstacleTo(work)
  if (obstacle !== undefined) await breakFor(obstacle, job, deps, signal)
  else if (lacksInput(work, job)) await breakWithoutInput(job, deps, signal)
  else if (job.channel.takes(work)) await sendWork(work, job, deps)
  else await move(job, 'fail', { reason: 'work-too-large', result: TOO_LARGE }, deps, signal)
}

/**
 * Sends an executor its work. One of v0 has its input with it and reports no steps, so the validator is told here that
 * the input is there: from ready on it waits no longer for that than the input may take.
 */
async function sendWork(work: WorkMessage, job: LiveJob, deps: DriveJobDeps): Promise<void> {
  const isSent = await job.channel.send(work)
  if (isSent && job.channel.dialect === 'v0') await step('volumes-ready', job, deps)
}

/** Whether the work lacks the volumes of the offer, which an executor of v0 gets with its work alone. */
function lacksInput({ volumes }: WorkMessage, { row, channel }: LiveJob): boolean {
  return channel.dialect === 'v0' && row.offer?.volumes === null && volumes.length === 0
}

/** Ends a job that the executor's dialect cannot express. */
function breakFor(obstacle: string, job: LiveJob, deps: DriveJobDeps, signal: AbortSignal): Promise<void> {
  const message = `The executor cannot be told of ${obstacle}: it speaks ${job.channel.dialect}`
  return breakAs('not-in-v0', message, job, deps, signal)
}

/** Ends a job whose volumes were too large to be stored by the run of this miner that took the offer. */
function breakWithoutInput(job: LiveJob, deps: DriveJobDeps, signal: AbortSignal): Promise<void> {
  const message = 'The miner was started again and no longer has the input of the job, which was too large to be stored'
  return breakAs('abandoned', message, job, deps, signal)
}

function breakAs(
  reason: Reason,
  message: string,
  job: LiveJob,
  deps: DriveJobDeps,
  signal: AbortSignal,
): Promise<void> {
  const fault = { reporter: 'miner', reason: 'generic-error', stage: 'unknown', message, cause: null } as const
  const result = { exitStatus: null, stdout: '', stderr: message, fault }
  return move(job, 'break', { reason, result }, deps, signal)
}

/** Undefined when the volumes of the offer were not stored. */
function offerOf({ row }: LiveJob): OfferMessage | undefined {
  const { uuid, executorClass, imageName, timeoutSeconds, volumeType, offer } = row
  const common = {
    type: 'offer',
    jobUuid: uuid as JobUuid,
    executorClass,
    image: imageName,
    isStreaming: false,
  } as const
  if (offer === null) {
    const volumeKind = volumeType === 'zip_url' ? 'zip-url' : 'inline-zip'
    return { ...common, limits: { kind: 'run', seconds: timeoutSeconds }, volumeKind, volumes: [] }
  }
  const { limits, volumes } = offer
  return volumes === null ? undefined : { ...common, limits, volumeKind: volumes[0]?.kind ?? null, volumes }
}

type Message = Exclude<DriverEvent, { connected: boolean }>

async function handle(event: Message, job: LiveJob, deps: DriveJobDeps, signal: AbortSignal): Promise<void> {
  if (event.from === 'manager') {
    deps.log.debug({ jobUuid: job.uuid, how: event.exited }, 'executor exited')
    return move(job, 'executor exited', { reason: 'executor-exited' }, deps, signal)
  }
  if (event.from === 'validator') {
    job.isWorkLost = false
    await move(job, 'work', { work: job.work }, deps, signal)
    if (job.state === 'running') await briefExecutor(job, deps, signal)
    return
  }
  if ('done' in event) return event.done()
  const { report } = event
  if (isAskingForWork(report, job)) {
    job.isWorkLost = true
    return deps.delivery.resend(job)
  }
  if (report.type === 'volumes-ready' || report.type === 'execution-done') return step(report.type, job, deps)
  const message = isEarlyFailure(report, job) ? 'input-failed' : report.type
  await move(job, message, changeBy(report), deps, signal, isLast(report))
}

/**
 * Executors of v2026 have the input's addresses from the offer, and may fail before the work is there. Validators of v0
 * know no such failure.
 */
function isEarlyFailure(report: JobReport, { state, dialect }: LiveJob): boolean {
  return state === 'ready' && dialect === 'v2026' && isLostInput(report)
}

/** Passes on which of its steps a job has done. They move no job, and may come early. */
async function step(type: JobStep, job: LiveJob, { delivery }: DriveJobDeps): Promise<void> {
  if (job.isOver || job.steps.includes(type)) return
  job.steps.push(type)
  if (job.state !== 'accepted') await delivery.resend(job)
}

/** The executor sends ready again although the job runs: the work was lost with the miner process that had it. */
function isAskingForWork({ type }: JobReport, { state, work }: LiveJob): boolean {
  return type === 'ready' && state === 'running' && work === undefined
}

/** Returns whether an executor leaves by itself after this report. */
function isLast({ type }: JobReport): boolean {
  return type === 'not-prepared' || type === 'finish' || type === 'fail' || type === 'break'
}

/** Returns what is stored with an executor's report. */
function changeBy(report: JobReport): Change {
  switch (report.type) {
    case 'not-prepared':
      return { reason: 'prepare-failed' }
    case 'break': {
      const { type: _, jobUuid: __, ...fault } = report
      const message = shorten(fault.message, MAX_OUTPUT_CHARACTERS)
      return { reason: 'horde-failed', result: { ...resultOf(NOTHING, null), fault: { ...fault, message } } }
    }
    case 'finish':
      return { result: { ...resultOf(report.output, 0), ...extrasOf(report.output) } }
    case 'fail': {
      const { exitStatus, reason, stage, message, printed } = report.failure
      const why = reason === 'timeout' ? 'time-limit' : exitStatus === null ? 'not-run' : 'exit-status'
      const result = resultOf(printed ?? { stdout: message, stderr: '' }, exitStatus)
      // Executors of v0 report neither.
      const isKnown = stage !== 'unknown' || message !== ''
      return {
        result: { ...result, ...(isKnown && { failure: { reason, stage, message, hasPrinted: printed !== null } }) },
        reason: why,
      }
    }
    default:
      return {}
  }
}

const NOTHING: Printed = { stdout: '', stderr: '' }

function extrasOf({ artifacts, uploadAnswers }: JobOutput): Pick<JobResult, 'extras'> {
  return artifacts === null && uploadAnswers === null ? {} : { extras: { artifacts, uploadAnswers } }
}

function resultOf({ stdout, stderr }: Printed, exitStatus: number | null): JobResult {
  return {
    exitStatus,
    stdout: shorten(stdout, MAX_OUTPUT_CHARACTERS),
    stderr: shorten(stderr, MAX_OUTPUT_CHARACTERS),
  }
}

/**
 * Moves the job and sends its validator the report about it. Waits until it was sent, except at an end: see
 * `endSent`. A dropped job is forgotten, and its validator is sent nothing.
 *
 * @param isEnd whether the executor has sent its last message with this event, and leaves by itself
 */
async function move(
  job: LiveJob,
  event: JobEvent,
  change: Change,
  deps: DriveJobDeps,
  signal: AbortSignal,
  isEnd = false,
): Promise<void> {
  const moved = await transition(job, event, change, deps, signal)
  if (moved.outcome === 'unchanged') return
  // Before the message goes out: the next offer may come right behind it.
  if (isEnd) job.leaving = job.reservation.leave()
  if (moved.outcome === 'dropped') return deps.live.remove(job)
  if (moved.report === undefined) return
  const sent = deps.delivery.send(job, moved.report)
  if (isFinal(job.state)) job.endSent = sent
  else await sent
}
