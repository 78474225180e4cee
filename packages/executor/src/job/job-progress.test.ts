import { silentLog } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import { expect, test } from 'vitest'
import { type JobEvent, JobProgress, STAGES, type Stage, stageAfter } from './job-progress.ts'

const JOB = '7d8a4b0e-2f64-4d3e-9f43-0c6f3a5d9b11'
const TABLE: [Stage, JobEvent, Stage][] = [
  ['idle', 'offer', 'preparing'],
  ['preparing', 'ready', 'ready'],
  ['preparing', 'not-prepared', 'answering'],
  ['ready', 'work', 'loading'],
  ['ready', 'failed', 'answering'],
  ['loading', 'volumes-ready', 'running'],
  ['loading', 'failed', 'answering'],
  ['running', 'execution-done', 'delivering'],
  ['running', 'failed', 'answering'],
  ['delivering', 'finished', 'answering'],
  ['delivering', 'failed', 'answering'],
]
const EVENTS = [...new Set(TABLE.map(([, event]) => event))]

test('moves a job as the table says, and by no other event', () => {
  for (const from of STAGES) {
    for (const event of EVENTS) {
      const row = TABLE.find(([stage, name]) => stage === from && name === event)
      expect(stageAfter(from, event), `${from} ${event}`).toBe(row?.[2])
    }
  }
})

test('measures the seconds in each stage and keeps the kind of the answer', async () => {
  const clock = manualClock()
  const progress = new JobProgress(clock, silentLog)
  await clock.advance(1_000)
  progress.transition('offer', JOB)
  await clock.advance(2_500)
  progress.transition('ready', JOB)
  progress.transition('work', JOB)
  progress.transition('volumes-ready', JOB)
  await clock.advance(4_000)
  expect([progress.stage, progress.answer]).toEqual(['running', undefined])
  progress.transition('failed', JOB)
  await clock.advance(250)
  expect(STAGES.map(stage => progress.secondsIn(stage))).toEqual([1, 2.5, 0, 0, 4, 0, 0.25])
  await clock.advance(500)
  expect(progress.secondsIn('answering')).toBe(0.75)
  expect([progress.stage, progress.answer]).toEqual(['answering', 'failed'])
})

test('rejects an event that is out of order, and stays where it is', () => {
  const progress = new JobProgress(manualClock(), silentLog)
  expect(() => progress.transition('ready', JOB)).toThrow('out of order')
  expect(progress.stage).toBe('idle')
})
