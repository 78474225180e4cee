import { manualClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import { Admission } from './admission.ts'

const rules = {
  maxOpenJobs: 2,
  maxOffersPerMinute: 6,
  maxTimeoutSeconds: 100,
  isValidator: (hotkey: string) => hotkey !== 'gone',
  migrating: false,
}
const offer = (seconds: number | null = null) => ({ limits: { kind: 'whole' as const, seconds } })
const taken = (take: () => boolean, tries: number) => Array.from({ length: tries }, take).filter(Boolean).length

it('allows each validator a burst of offers and a rate per minute', async () => {
  const clock = manualClock()
  const admission = new Admission(rules, clock)
  const offers = (validator: string) => taken(() => admission.mayOffer(validator), 100)
  expect([offers('a'), offers('a'), offers('b')]).toEqual([6, 0, 6])
  await clock.advance(10_000)
  expect([offers('a'), offers('c')]).toEqual([1, 6])
  await clock.advance(600_000)
  expect(offers('a'), 'unused offers do not add up').toBe(6)
})

it('stores sixty declined offers at once and ten more a minute', async () => {
  const clock = manualClock()
  const admission = new Admission(rules, clock)
  const stored = () => taken(() => admission.mayStoreDecline('a'), 1_000)
  expect(stored()).toBe(60)
  await clock.advance(60_000)
  expect(stored()).toBe(10)
})

it('counts a job that is being taken as an open one', () => {
  const admission = new Admission(rules, manualClock())
  const first = admission.enter(offer(), 'a', 1)
  expect(admission.enter(offer(), 'a', 1)).toBe('too-many-open-jobs')
  expect(admission.enter(offer(), 'b', 1)).not.toBeTypeOf('string')
  if (typeof first !== 'string') first[Symbol.dispose]()
  expect(admission.enter(offer(), 'a', 2)).toBe('too-many-open-jobs')
  expect(admission.enter(offer(), 'a', 1)).not.toBeTypeOf('string')
})

it.each([
  [100, 'a', false, undefined],
  [101, 'a', false, 'time-limit-too-long'],
  [null, 'gone', false, 'not-a-validator'],
  [null, 'a', true, 'migrating'],
])('time limit %s s, by %s, migrating %s: %s', (seconds, validator, migrating, reason) => {
  const entered = new Admission({ ...rules, migrating }, manualClock()).enter(offer(seconds), validator, 0)
  expect(typeof entered === 'string' ? entered : undefined).toBe(reason)
})
