import { silentLog } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import { expect, test } from 'vitest'
import { type JobMessageType, JobProgress, STAGES, type Stage, stageAfter } from './job-progress.ts'

const JOB = { job_uuid: '7d8a4b0e-2f64-4d3e-9f43-0c6f3a5d9b11' }
const TABLE: [Stage, JobMessageType, Stage][] = [
  ['idle', 'V0PrepareJobRequest', 'preparing'],
  ['preparing', 'V0ReadyRequest', 'ready'],
  ['preparing', 'V0FailedToPrepare', 'answering'],
  ['ready', 'V0RunJobRequest', 'running'],
  ['running', 'V0FinishedRequest', 'answering'],
  ['running', 'V0FailedRequest', 'answering'],
]
const MESSAGES = [...new Set(TABLE.map(([, message]) => message))]

test('moves a job as the table says, and by no other message', () => {
  for (const from of STAGES) {
    for (const message of MESSAGES) {
      const row = TABLE.find(([stage, type]) => stage === from && type === message)
      expect(stageAfter(from, message), `${from} ${message}`).toBe(row?.[2])
    }
  }
})

test('measures the seconds in each stage and keeps the kind of the answer', async () => {
  const clock = manualClock()
  const progress = new JobProgress(clock, silentLog)
  await clock.advance(1_000)
  progress.transition({ message_type: 'V0PrepareJobRequest', ...JOB })
  await clock.advance(2_500)
  progress.transition({ message_type: 'V0ReadyRequest', ...JOB })
  progress.transition({ message_type: 'V0RunJobRequest', ...JOB })
  await clock.advance(4_000)
  expect([progress.stage, progress.answer]).toEqual(['running', undefined])
  progress.transition({ message_type: 'V0FailedRequest', ...JOB })
  await clock.advance(250)
  expect(STAGES.map(stage => progress.secondsIn(stage))).toEqual([1, 2.5, 0, 4, 0.25])
  await clock.advance(500)
  expect(progress.secondsIn('answering')).toBe(0.75)
  expect([progress.stage, progress.answer]).toEqual(['answering', 'failed'])
})

test('rejects a message that is out of order, and stays where it is', () => {
  const progress = new JobProgress(manualClock(), silentLog)
  expect(() => progress.transition({ message_type: 'V0ReadyRequest', ...JOB })).toThrow('out of order')
  expect(progress.stage).toBe('idle')
})
