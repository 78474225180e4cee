/** The limits of a job's stages: what a miner of v2026 is told, and until when the validator waits. */

import type { JobStage } from '@horde/protocol/job/report'
import { secondsOf, type TimeLimits } from '@horde/protocol/job/request'

type StageLimits = Extract<TimeLimits, { kind: 'stages' }>

/** The leeway that Python validators add to the limits of the stages, in seconds. */
export const LEEWAY_SECONDS = 5
/** The least time for loading the input and for uploading the output, in seconds: below it, one limit is for all. */
const LEAST_TRANSFER_SECONDS = 1

/**
 * Returns limits as a dialect with stages says them. A job that limits only its run gets the rest of `resultMs`, the
 * validator's own deadline from ready to the result, for the other stages; when there is no rest, one limit for all.
 */
export function stagedLimits(limits: TimeLimits, resultMs: number): TimeLimits {
  if (limits.kind !== 'run') return limits
  const run = limits.seconds
  const whole = Math.floor(resultMs / 1000)
  if (run === null) return { kind: 'whole', seconds: whole }
  const transfer = Math.floor((whole - run - LEEWAY_SECONDS) / 2)
  if (transfer < LEAST_TRANSFER_SECONDS) return { kind: 'whole', seconds: run }
  return {
    ...{ kind: 'stages', leeway: LEEWAY_SECONDS, download: transfer, execution: run, upload: transfer },
    streamingStart: 0,
  }
}

/** Returns how long a job may take from its acceptance to its result, in seconds. */
export function wholeSecondsOf(limits: TimeLimits, readyMs: number): number {
  return Math.ceil(readyMs / 1000) + (secondsOf(limits) ?? 0)
}

/** The running deadline of a job whose miner reports each stage: each stage adds its limit, unused time is kept. */
export class StageDeadline {
  readonly #limits: StageLimits
  #areVolumesReady = false
  #isExecutionDone = false

  constructor(limits: StageLimits) {
    this.#limits = limits
  }

  /** Returns how long the job may take from ready to the end of its present stage, in ms. */
  get ms(): number {
    const { leeway, download, streamingStart, execution, upload } = this.#limits
    const run = this.#areVolumesReady ? streamingStart + execution : 0
    return (leeway + download + run + (this.#isExecutionDone ? upload : 0)) * 1000
  }

  /** The stage that the job is in. */
  get stage(): JobStage {
    if (this.#isExecutionDone) return 'result-upload'
    return this.#areVolumesReady ? 'execution' : 'volume-download'
  }

  /** The miner has reported a stage. Repeats change nothing. */
  report(type: 'volumes-ready' | 'execution-done'): void {
    // A job whose execution is done has had its input, too.
    this.#areVolumesReady = true
    if (type === 'execution-done') this.#isExecutionDone = true
  }
}
