import { manualClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import { Mailbox } from './mailbox.ts'

const never = new AbortController().signal

it('gives what was put in, in order, at once or when it comes', async () => {
  const box = new Mailbox<number>()
  const clock = manualClock()
  box.put(1)
  box.put(2)
  expect([await box.take(10, clock, never), await box.take(10, clock, never)]).toEqual([1, 2])
  const third = box.take(10, clock, never)
  box.put(3)
  expect(await third).toBe(3)
  expect(clock.sleeping).toBe(0)
})

it('gives nothing after its time, and what comes later to the next who asks', async () => {
  const box = new Mailbox<number>()
  const clock = manualClock()
  const taken = box.take(10, clock, never)
  await clock.whenSleeping()
  await clock.advance(10)
  expect(await taken).toBeUndefined()
  box.put(4)
  expect(await box.take(10, clock, never)).toBe(4)
})

it('a wait that is aborted loses nothing', async () => {
  const box = new Mailbox<number>()
  const clock = manualClock()
  const stop = new AbortController()
  const taken = box.take(10, clock, stop.signal)
  stop.abort(new Error('stop'))
  await expect(taken).rejects.toThrow('stop')
  box.put(5)
  await expect(box.take(10, clock, stop.signal)).rejects.toThrow('stop')
  expect(await box.take(10, clock, never)).toBe(5)
})
