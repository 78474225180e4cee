import { manualClock } from '@horde/kit/time'
import { expect, test } from 'vitest'
import { STAGES, Stages } from './stages.ts'

test('every stage has the seconds that were spent in it', async () => {
  const clock = manualClock()
  const stages = new Stages(clock)
  await clock.advance(1_000)
  stages.enter('preparing')
  await clock.advance(2_500)
  stages.enter('ready')
  stages.enter('running')
  await clock.advance(4_000)
  expect([stages.current, stages.answer]).toEqual(['running', undefined])
  stages.answering('failed')
  await clock.advance(250)
  stages.enter('idle')
  expect(STAGES.map(stage => stages.secondsIn(stage))).toEqual([1, 2.5, 0, 4, 0.25])
  await clock.advance(500)
  expect(stages.secondsIn('idle')).toBe(1.5)
  expect([stages.current, stages.answer]).toEqual(['idle', 'failed'])
})
