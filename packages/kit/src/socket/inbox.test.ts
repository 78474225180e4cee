import { expect, it } from 'vitest'
import { manualClock } from '../time.ts'
import { Inbox } from './inbox.ts'

const never = new AbortController().signal

it('returns items in order, at once or when they come', async () => {
  const clock = manualClock()
  const box = new Inbox<number>({ clock })
  box.put(1)
  box.put(2)
  expect([await box.next(10, never), await box.next(10, never)]).toEqual([1, 2])
  const third = box.next(10, never)
  box.put(3)
  expect(await third).toBe(3)
  expect(clock.sleeping).toBe(0)
})

it('returns undefined after the time, and keeps a later item for the next call', async () => {
  const clock = manualClock()
  const box = new Inbox<number>({ clock })
  const taken = box.next(10, never)
  await clock.whenSleeping()
  await clock.advance(10)
  expect(await taken).toBeUndefined()
  box.put(4)
  expect(await box.next(10, never)).toBe(4)
})

it('loses no item when a wait is aborted', async () => {
  const clock = manualClock()
  const box = new Inbox<number>({ clock })
  const stop = new AbortController()
  const taken = box.next(10, stop.signal)
  stop.abort(new Error('stop'))
  await expect(taken).rejects.toThrow('stop')
  box.put(5)
  await expect(box.next(10, stop.signal)).rejects.toThrow('stop')
  expect(await box.next(10, never)).toBe(5)
})

it('returns a waiting item even when the time is over', async () => {
  const box = new Inbox<number>({ clock: manualClock() })
  box.put(7)
  expect(await box.next(-5, never)).toBe(7)
})

it('refuses items above the limit and after the end', async () => {
  const box = new Inbox<number>({ maxWaiting: 1 })
  expect([box.put(1), box.put(2)]).toEqual([true, false])
  box.end(3)
  box.end(4)
  expect(box.put(5)).toBe(false)
  expect([await box.next(0, never), await box.next(0, never), await box.next(0, never)]).toEqual([1, 3, 3])
})

it('wakes a waiting reader at the end', async () => {
  const box = new Inbox<number>({ clock: manualClock() })
  const taken = box.next(10, never)
  box.end(6)
  expect(await taken).toBe(6)
})
