import { manualClock } from '@horde/kit/time'
import { expect, test } from 'vitest'
import { stageTimes } from './stage-times.ts'

const DEFAULTS = { work: 900_000, load: 300_000, run: 60_000, upload: 200_000 }
const STAGES = { kind: 'stages', leeway: 3, download: 1, execution: 10, upload: 3, streamingStart: 5 } as const

test('limits only the run of a job by its own limit, whatever came before', async () => {
  const clock = manualClock()
  const times = stageTimes({ kind: 'run', seconds: 7 }, DEFAULTS, clock)
  await clock.advance(100_000)
  expect([times?.work(), times?.load(), times?.run(), times?.upload()]).toEqual([900_000, 300_000, 7_000, 200_000])
  expect(times?.countsWork).toBe(false)
  expect(stageTimes({ kind: 'run', seconds: null }, DEFAULTS, clock)?.run()).toBe(60_000)
})

test('counts one limit for the whole from ready on', async () => {
  const clock = manualClock()
  const times = stageTimes({ kind: 'whole', seconds: 9 }, DEFAULTS, clock)
  await clock.advance(2_000)
  expect([times?.work(), times?.load()]).toEqual([7_000, 7_000])
  await clock.advance(4_000)
  expect(times?.run()).toBe(3_000)
  await clock.advance(4_000)
  expect(times?.upload()).toBe(0)
  expect(times?.countsWork).toBe(true)
  expect(stageTimes({ kind: 'whole', seconds: null }, DEFAULTS, clock)).toBeUndefined()
})

test('keeps the time that a stage leaves unused, but gives it to the container only from its own limit', async () => {
  const clock = manualClock()
  const times = stageTimes(STAGES, DEFAULTS, clock)
  await clock.advance(500)
  expect([times?.work(), times?.load()]).toEqual([2_500, 2_500])
  await clock.advance(500)
  expect(times?.run()).toBe(10_000)
  await clock.advance(4_000)
  expect(times?.upload()).toBe(11_000)
})

test('shortens the run by the time that loading took too long', async () => {
  const clock = manualClock()
  const times = stageTimes(STAGES, DEFAULTS, clock)
  await clock.advance(4_000)
  expect(times?.load()).toBe(0)
  expect(times?.run()).toBe(9_000)
  await clock.advance(9_000)
  expect(times?.upload()).toBe(3_000)
})

test('is earlier than the validator by a second, or by half of a short leeway', () => {
  const loads = [0, 1, 2, 5].map(leeway => stageTimes({ ...STAGES, leeway }, DEFAULTS, manualClock())?.load())
  expect(loads).toEqual([1_000, 1_500, 2_000, 5_000])
})
