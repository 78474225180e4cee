/** Makes the result of a job from what happened to it. Pure. */
import type { BrokenJob, FailedJob, JobResult, JobStage, Printed } from '@horde/protocol/job/report'
import type { RunEnd } from '../container/run-container.ts'
import { HostLackFailure, type JobFailure, TimeLimitFailure } from './job-failure.ts'

type Container = Pick<FailedJob, 'exitStatus' | 'printed'>

const NOT_RUN: Container = { exitStatus: null, printed: null }

/** The host's fault, which its message describes. */
const HOST = { reason: 'generic-error', cause: null } as const

export function failed(job: Omit<FailedJob, 'exitStatus' | 'printed'>, container: Container = NOT_RUN): JobResult {
  return { end: 'failed', ...job, ...container }
}

export function broken(job: Omit<BrokenJob, 'exitStatus' | 'printed'>, container: Container = NOT_RUN): JobResult {
  return { end: 'broken', ...job, ...container }
}

/** Returns the result of a job that could not be run as requested. */
export function notRun(error: Error, stage: JobStage): JobResult {
  if (error instanceof HostLackFailure) {
    // A v0 peer is told of it as of a failure.
    const printed = { stdout: error.message, stderr: '' }
    return broken({ ...HOST, stage, message: error.message }, { exitStatus: null, printed })
  }
  return failed({ reason: reasonOf(error, stage), stage, message: error.message })
}

function reasonOf(error: Error, stage: JobStage): FailedJob['reason'] {
  if (error instanceof TimeLimitFailure) return 'timeout'
  if (stage === 'volume-download') return 'download-failed'
  return stage === 'result-upload' ? 'upload-failed' : 'unknown'
}

/** Returns the result of a job whose container did not end well; undefined when it exited with 0. */
export function badEnd(end: RunEnd, printed: Printed): JobResult | undefined {
  const { note } = end
  if (end.kind !== 'exited') {
    const container = { exitStatus: null, printed }
    const message = note ?? 'The job did not end by itself.'
    if (end.kind === 'stopped') return broken({ ...HOST, stage: 'execution', message }, container)
    return failed({ reason: end.kind === 'timed out' ? 'timeout' : 'unknown', stage: 'execution', message }, container)
  }
  const { exitStatus } = end
  if (exitStatus === 0) return undefined
  const message = [`The job exited with status ${exitStatus}.`, note].filter(Boolean).join(' ')
  return failed({ reason: 'nonzero-exit', stage: 'execution', message }, { exitStatus, printed })
}

/** Returns the result of a job that exited with 0 and whose outputs could not be delivered. */
export function uploadFailed(error: JobFailure, printed: Printed): JobResult {
  const stage = 'result-upload'
  return failed({ reason: reasonOf(error, stage), stage, message: error.message }, { exitStatus: 0, printed })
}

/** Returns the result of a job that exited with 0 and whose outputs are lost by the engine's fault. */
export function lostOutputs(message: string, printed: Printed): JobResult {
  return broken({ ...HOST, stage: 'result-upload', message }, { exitStatus: 0, printed })
}
