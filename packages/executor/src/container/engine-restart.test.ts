import { EngineError } from '@horde/engine/engine-error'
import { manualClock } from '@horde/kit/time'
import { expect, test } from 'vitest'
import { Absences, acrossRestart } from './engine-restart.ts'

const AWAY = new EngineError('gone', { code: 'unreachable' })

/** Returns these answers, one after the other. */
function answering(...answers: (string | Error)[]) {
  return async () => {
    const answer = answers.shift()
    if (answer === undefined || answer instanceof Error) throw answer
    return answer
  }
}

test('repeats a call while the engine is away, and counts one absence', async () => {
  const clock = manualClock()
  const absences = new Absences()
  const asking = acrossRestart(answering(AWAY, AWAY, 'back'), clock, undefined, () => absences.add())
  await clock.whenSleeping()
  await clock.advance(2_000)
  expect(await asking).toBe('back')
  expect(absences.count).toBe(1)
})

test('does not repeat a call that the engine refuses', async () => {
  const refusal = new EngineError('no such container', { code: 'not-found' })
  await expect(acrossRestart(answering(refusal, 'never asked'), manualClock())).rejects.toBe(refusal)
})

test('gives up on an engine that stays away for two minutes', async () => {
  const clock = manualClock()
  const asking = acrossRestart(() => Promise.reject(AWAY), clock)
  const given = expect(asking).rejects.toBe(AWAY)
  await clock.whenSleeping()
  await clock.advance(123_000)
  await given
})

test('does not wait for an absence that was counted before', async () => {
  const absences = new Absences()
  absences.add()
  await absences.moreThan(0)
  const later = absences.moreThan(1)
  absences.add()
  await later
})
