import { EngineError } from '@horde/engine/engine-error'
import { manualClock } from '@horde/kit/time'
import { expect, test } from 'vitest'
import { Absences, acrossRestart } from './engine-restart.ts'

const AWAY = new EngineError('gone', { code: 'unreachable' })

/** Gives these answers, one after the other. */
function answering(...answers: (string | Error)[]) {
  return async () => {
    const answer = answers.shift()
    if (answer === undefined || answer instanceof Error) throw answer
    return answer
  }
}

test('an engine that is away is asked again, and its absence is told once', async () => {
  const clock = manualClock()
  const absences = new Absences()
  const asking = acrossRestart(answering(AWAY, AWAY, 'back'), clock, undefined, () => absences.add())
  await clock.whenSleeping()
  await clock.advance(2_000)
  expect(await asking).toBe('back')
  expect(absences.count).toBe(1)
})

test('what the engine answers is not asked again', async () => {
  const refusal = new EngineError('no such container', { code: 'not-found' })
  await expect(acrossRestart(answering(refusal, 'never asked'), manualClock())).rejects.toBe(refusal)
})

test('an engine that stays away is given up after two minutes', async () => {
  const clock = manualClock()
  const asking = acrossRestart(() => Promise.reject(AWAY), clock)
  const given = expect(asking).rejects.toBe(AWAY)
  await clock.whenSleeping()
  await clock.advance(123_000)
  await given
})

test('an absence that was there before is not waited for', async () => {
  const absences = new Absences()
  absences.add()
  await absences.moreThan(0)
  const later = absences.moreThan(1)
  absences.add()
  await later
})
