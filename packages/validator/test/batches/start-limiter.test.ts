import { manualClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import { StartBarrier, StartLimiter } from '../../src/batches/start-limiter.ts'

const { signal } = new AbortController()

it('gives no slot to a job that would start after its limit, and returns false at the limit', async () => {
  const clock = manualClock()
  const limiter = new StartLimiter({ atOnce: 10, perSecond: 1 }, clock)
  const slots: string[] = []
  for (let i = 0; i < 4; i += 1) {
    void limiter.begin('a', 1_500, signal).then(slot => slots.push(`${clock.monotonic()} ${slot !== undefined}`))
  }
  await clock.advance(0)
  await clock.advance(10_000)
  expect(slots).toEqual(['0 true', '1000 true', '1500 false', '1500 false'])
  const later = limiter.begin('a', 20_000, signal)
  await clock.advance(0)
  expect(await later).toBeDefined()
})

it('frees the slot of a request that was stopped or came too late', async () => {
  const clock = manualClock()
  const limiter = new StartLimiter({ atOnce: 1, perSecond: 1_000 }, clock)
  const stop = new AbortController()
  const first = await limiter.begin('a', 1_000, signal)
  const stopped = limiter.begin('a', 1_000, stop.signal)
  const late = limiter.begin('a', 500, signal)
  stop.abort(new Error('stopped'))
  await expect(stopped).rejects.toThrow('stopped')
  await clock.advance(500)
  expect(await late).toBeUndefined()
  first?.[Symbol.dispose]()
  expect(await limiter.begin('a', 1_000, signal)).toBeDefined()
})

it('opens the start barrier at a stop, and leaves no timer behind', async () => {
  const clock = manualClock()
  {
    using _ = new StartBarrier(0, 15_000, clock, signal)
    expect(clock.sleeping).toBe(1)
  }
  expect(clock.sleeping).toBe(0)
  const stop = new AbortController()
  const barrier = new StartBarrier(2, 15_000, clock, stop.signal)
  barrier.arrive()
  stop.abort()
  await barrier.opened
  expect(clock.sleeping).toBe(0)
})

it('gives a free slot to the owner with the fewest, then to the one that asked first', async () => {
  const clock = manualClock()
  const limiter = new StartLimiter({ atOnce: 2, perSecond: 1_000_000 }, clock)
  const got: string[] = []
  const slots: Record<string, Disposable | undefined> = {}
  const ask = (who: string, name: string) =>
    void limiter.begin(who, 1_000, signal).then(slot => {
      got.push(name)
      slots[name] = slot
    })
  for (const name of ['a1', 'b1', 'a2', 'a3', 'b2', 'c1']) ask(name[0] ?? '', name)
  await clock.advance(1)
  expect(got).toEqual(['a1', 'b1'])
  slots.b1?.[Symbol.dispose]()
  await clock.advance(1)
  slots.b2?.[Symbol.dispose]()
  await clock.advance(1)
  slots.c1?.[Symbol.dispose]()
  await clock.advance(1)
  expect(got).toEqual(['a1', 'b1', 'b2', 'c1', 'a2'])
})

it('starts one job of every owner before the second of any once the barrier opens', async () => {
  const clock = manualClock()
  const opened = Promise.withResolvers<void>()
  const limiter = new StartLimiter({ atOnce: 3, perSecond: 1_000_000 }, clock, opened.promise)
  const got: string[] = []
  for (const name of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) {
    void limiter.begin(name[0] ?? '', 1_000, signal).then(() => got.push(name))
  }
  await clock.advance(1)
  expect(got, 'the barrier is closed').toEqual([])
  opened.resolve()
  await clock.advance(0)
  await clock.advance(1)
  expect(got).toEqual(['a1', 'b1', 'c1'])
})
