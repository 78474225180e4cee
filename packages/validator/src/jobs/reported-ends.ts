/** Why a job ended, by a miner's report that is no result: in our words, with the miner's message beside it. */
import type { BreakReport, DeclineReport } from '@horde/protocol/job/messages'
import type { HordeFault } from '@horde/protocol/job/report'
import type { JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import type { JobResult } from '../db/jobs.ts'

type End = Pick<JobResult, 'reason' | 'stage' | 'message'>

export function endOfDecline({ reason, message }: DeclineReport): End {
  const said = reason === 'unknown' || reason === 'busy' ? message : `${reason}: ${message}`
  return { reason: reason === 'busy' ? 'no-free-executor' : 'declined', stage: null, message: said || null }
}

const REASONS_OF: Partial<Record<HordeFault, Reason>> = {
  'executor-not-started': 'executor-not-started',
  'executor-disconnected': 'executor-lost',
  'ready-timed-out': 'prepare-timed-out',
}

export function endOfBreak({ reason, stage, message, cause }: BreakReport): End {
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
