/** Turns the time limits of a job into the time that each of its stages may take. */
import type { Clock } from '@horde/kit/time'
import type { TimeLimits } from '@horde/protocol/job/request'

/**
 * How much earlier than its validator the executor ends a stage, in ms, taken from the leeway and at most half of it: a
 * report that comes after the validator's own deadline is not read, and the horde gets the blame.
 */
const EARLIER_MS = 1_000

/** How long the stages of a job whose offer limits only its run may take, in ms. From the settings. */
export interface DefaultTimes {
  work: number
  load: number
  run: number
  upload: number
}

/** How long each stage may take from now on, in ms. Ask when the stage begins, and once. */
export interface StageTimes {
  /** How long the work may be awaited. */
  work(): number
  load(): number
  run(): number
  upload(): number
  /** Whether the wait for the work counts as the job's own time: then a late work fails the job. */
  readonly countsWork: boolean
}

/** Returns the times of a job that is ready now; undefined when it names no limit and its dialect has no default. */
export function stageTimes(limits: TimeLimits, defaults: DefaultTimes, clock: Clock): StageTimes | undefined {
  if (limits.kind === 'run') return ofRun(limits.seconds, defaults)
  if (limits.kind === 'stages') return ofStages(limits, clock)
  return limits.seconds === null ? undefined : ofWhole(limits.seconds, clock)
}

function ofRun(seconds: number | null, defaults: DefaultTimes): StageTimes {
  const run = seconds === null ? defaults.run : seconds * 1_000
  return {
    work: () => defaults.work,
    load: () => defaults.load,
    run: () => run,
    upload: () => defaults.upload,
    countsWork: false,
  }
}

function ofWhole(seconds: number, clock: Clock): StageTimes {
  const left = leftUntil(clock.monotonic() + seconds * 1_000, clock)
  return { work: left, load: left, run: left, upload: left, countsWork: true }
}

/** One running deadline: each stage adds its limit, so that time which a stage leaves unused is kept. */
function ofStages(limits: Extract<TimeLimits, { kind: 'stages' }>, clock: Clock): StageTimes {
  const leeway = limits.leeway * 1_000
  let deadline = clock.monotonic() + leeway - Math.min(EARLIER_MS, leeway / 2) + limits.download * 1_000
  const left = () => leftUntil(deadline, clock)()
  return {
    work: left,
    load: left,
    run: () => {
      deadline += limits.execution * 1_000
      return Math.min(limits.execution * 1_000, left())
    },
    upload: () => {
      deadline += limits.upload * 1_000
      return left()
    },
    countsWork: true,
  }
}

function leftUntil(deadline: number, clock: Clock): () => number {
  return () => Math.max(0, Math.round(deadline - clock.monotonic()))
}
