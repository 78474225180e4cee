import { expect, it } from 'vitest'
import { StageDeadline, stagedLimits, wholeSecondsOf } from './stage-limits.ts'

const STAGES = { kind: 'stages', leeway: 5, download: 10, execution: 100, upload: 20, streamingStart: 0 } as const

it('gives a job that limits only its run the rest of the whole time for its other stages', () => {
  const whole = { leeway: 5, download: 3, execution: 30, upload: 3, streamingStart: 0 }
  expect(stagedLimits({ kind: 'run', seconds: 30 }, 41_000)).toEqual({ kind: 'stages', ...whole })
  expect(stagedLimits({ kind: 'run', seconds: 300 }, 300_000)).toEqual({ kind: 'whole', seconds: 300 })
  expect(stagedLimits({ kind: 'run', seconds: null }, 300_000)).toEqual({ kind: 'whole', seconds: 300 })
  expect(stagedLimits(STAGES, 1)).toBe(STAGES)
})

it('knows how long a job may take from its acceptance on', () => {
  expect(wholeSecondsOf(STAGES, 7_000)).toBe(142)
  expect(wholeSecondsOf({ kind: 'whole', seconds: 300 }, 7_500)).toBe(308)
})

it('adds the limit of each stage that the miner reports, once, whatever comes early', () => {
  const deadline = new StageDeadline(STAGES)
  expect([deadline.ms, deadline.stage]).toEqual([15_000, 'volume-download'])
  deadline.report('volumes-ready')
  deadline.report('volumes-ready')
  expect([deadline.ms, deadline.stage]).toEqual([115_000, 'execution'])
  deadline.report('execution-done')
  expect([deadline.ms, deadline.stage]).toEqual([135_000, 'result-upload'])
  const skipped = new StageDeadline(STAGES)
  skipped.report('execution-done')
  expect([skipped.ms, skipped.stage]).toEqual([135_000, 'result-upload'])
})
