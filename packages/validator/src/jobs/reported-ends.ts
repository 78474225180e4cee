/** Why a job ended, by its miner's report: in our words, with the miner's message beside it. */
import { type BreakReport, type DeclineReport, isLostInput, type JobReport } from '@horde/protocol/job/messages'
import type { HordeFault } from '@horde/protocol/job/report'
import type { FinalState, JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import type { JobResult } from '../db/jobs.ts'
import type { MessageEvent } from './job-channel.ts'
import { type JobSpec, resultOf } from './job-spec.ts'
import type { WorkTimer } from './timing/work-timer.ts'

/** Returns what is known of a job's end by the report that ended it, and led to the state `to`. */
export function endOfReport(
  { report, at }: MessageEvent,
  to: FinalState,
  { unanswered, resumed, judge, isOrganic }: JobSpec,
  timer: WorkTimer,
): Partial<JobResult> {
  if (report.type === 'decline' && to === 'rejected') return { ...unanswered, ...endOfDecline(report) }
  // Miners fetch the input of a user's job from its offer on.
  if (isOrganic && isLostInput(report) && at < (timer.sentAt ?? Number.POSITIVE_INFINITY)) {
    return resultOf(report, judge(report, undefined), undefined)
  }
  const isResult = report.type === 'finish' || report.type === 'fail'
  if (isResult && at < (timer.sentAt ?? at)) {
    // Rejects a result that arrived before the work was sent, unless it may answer what an earlier process sent.
    if (!resumed) return { ...unanswered, reason: 'out-of-order' }
    timer.markUnknown()
  }
  if (isResult && to !== 'broken' && timer.mayHaveBeenSent) {
    const seconds = timer.secondsUntil(at)
    return resultOf(report, judge(report, seconds), seconds)
  }
  if (report.type === 'break') return { ...unanswered, ...endOfBreak(report) }
  // After a lost connection v0 miners report a failed preparation as a failed job.
  const isUnprepared = report.type === 'not-prepared' || report.type === 'fail'
  return { ...unanswered, reason: isUnprepared ? 'prepare-failed' : 'out-of-order' }
}

/** Returns the event that a report is for a job in this state. */
export function eventOf(report: JobReport, state: JobState): JobReport['type'] | 'input-failed' {
  return state === 'ready' && isLostInput(report) ? 'input-failed' : report.type
}

type End = Pick<JobResult, 'reason' | 'stage' | 'message'>

function endOfDecline({ reason, message }: DeclineReport): End {
  const said = reason === 'unknown' || reason === 'busy' ? message : `${reason}: ${message}`
  return { reason: reason === 'busy' ? 'no-free-executor' : 'declined', stage: null, message: said || null }
}

const REASONS_OF: Partial<Record<HordeFault, Reason>> = {
  'executor-not-started': 'executor-not-started',
  'executor-disconnected': 'executor-lost',
  'ready-timed-out': 'prepare-timed-out',
}

function endOfBreak({ reason, stage, message, cause }: BreakReport): End {
  const said = [reason === 'unknown' ? '' : reason, cause ?? '', message].filter(text => text !== '').join(': ')
  return {
    reason: REASONS_OF[reason] ?? 'horde-failed',
    stage: stage === 'unknown' ? null : stage,
    message: said || null,
  }
}

/** The reason for a stage's time-out while the miner is connected. */
export const TIMED_OUT: Partial<Record<JobState, Reason>> = {
  offered: 'no-answer',
  accepted: 'prepare-timed-out',
  ready: 'work-not-sent',
  running: 'run-timed-out',
}
