import { expect, test } from 'vitest'
import { DeadlineError, manualClock, systemClock, withDeadline } from './time.ts'

test('a manual clock wakes sleepers in order, each at its time', async () => {
  const clock = manualClock(1_000)
  const woken: string[] = []
  const wake = (name: string, ms: number) => clock.sleep(ms).then(() => woken.push(`${name} ${clock.now()}`))
  const all = Promise.all([wake('late', 30), wake('early', 10), wake('chained', 10).then(() => wake('second', 10))])
  await clock.advance(29)
  expect(woken).toEqual(['early 1010', 'chained 1010', 'second 1020'])
  expect([clock.now(), clock.monotonic(), clock.sleeping]).toEqual([1029, 29, 1])
  await clock.advance(1)
  await all
  expect(woken.at(-1)).toBe('late 1030')
})

test.each([
  ['system', systemClock],
  ['manual', manualClock()],
])('a sleep on the %s clock ends with the reason of its signal', async (_, clock) => {
  const stop = new AbortController()
  const sleep = clock.sleep(60_000, stop.signal)
  stop.abort('enough')
  await expect(sleep).rejects.toBe('enough')
  await expect(clock.sleep(60_000, stop.signal)).rejects.toBe('enough')
})

test('a sleep longer than the limit of Node timers does not end at once', async () => {
  const stop = new AbortController()
  const sleep = systemClock.sleep(2 ** 33, stop.signal).then(() => 'woke')
  const later = systemClock.sleep(20).then(() => 'still asleep')
  expect(await Promise.race([sleep, later])).toBe('still asleep')
  stop.abort()
  await expect(sleep).rejects.toThrow()
})

test('withDeadline rejects with what was late, and leaves no sleep behind', async () => {
  const clock = manualClock()
  const late = withDeadline(new Promise(() => {}), 500, 'metagraph', clock)
  const outcome = late.catch(error => error)
  await clock.advance(500)
  expect(await outcome).toBeInstanceOf(DeadlineError)
  expect(await outcome).toMatchObject({ message: 'metagraph: not done within 500 ms', ms: 500 })
  expect(await withDeadline(Promise.resolve(7), 500, 'quick', clock)).toBe(7)
  await expect(withDeadline(Promise.reject(new Error('no')), 500, 'bad', clock)).rejects.toThrow('no')
  expect(clock.sleeping).toBe(0)
})

test('whenSleeping waits for a sleeper', async () => {
  const clock = manualClock()
  const waiting = clock.whenSleeping(2)
  const slept = Promise.all([clock.sleep(5), clock.sleep(5)])
  await waiting
  await clock.advance(5)
  await slept
})
