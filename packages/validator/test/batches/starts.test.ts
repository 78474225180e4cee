import { manualClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import { StartBarrier, StartLimiter } from '../../src/batches/start-limiter.ts'

const { signal } = new AbortController()

it('a job that would start after the end gets no slot, and learns it at the end', async () => {
  const clock = manualClock()
  const starts = new StartLimiter({ atOnce: 10, perSecond: 1 }, clock)
  const places: string[] = []
  for (let i = 0; i < 4; i += 1) {
    void starts.begin('a', 1_500, signal).then(place => places.push(`${clock.monotonic()} ${place !== undefined}`))
  }
  await clock.advance(0)
  await clock.advance(10_000)
  expect(places).toEqual(['0 true', '1000 true', '1500 false', '1500 false'])
  const later = starts.begin('a', 20_000, signal)
  await clock.advance(0)
  expect(await later).toBeDefined()
})

it('a slot is free again when its owner was stopped or got it too late', async () => {
  const clock = manualClock()
  const starts = new StartLimiter({ atOnce: 1, perSecond: 1_000 }, clock)
  const stop = new AbortController()
  const first = await starts.begin('a', 1_000, signal)
  const stopped = starts.begin('a', 1_000, stop.signal)
  const late = starts.begin('a', 500, signal)
  stop.abort(new Error('stopped'))
  await expect(stopped).rejects.toThrow('stopped')
  await clock.advance(500)
  expect(await late).toBeUndefined()
  first?.[Symbol.dispose]()
  expect(await starts.begin('a', 1_000, signal)).toBeDefined()
})

it('a start barrier leaves no timer behind and opens at a stop', async () => {
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

it('a free slot goes to the owner with the fewest, then to the one that asked first', async () => {
  const clock = manualClock()
  const starts = new StartLimiter({ atOnce: 2, perSecond: 1_000_000 }, clock)
  const got: string[] = []
  const places: Record<string, Disposable | undefined> = {}
  const ask = (who: string, name: string) =>
    void starts.begin(who, 1_000, signal).then(place => {
      got.push(name)
      places[name] = place
    })
  for (const name of ['a1', 'b1', 'a2', 'a3', 'b2', 'c1']) ask(name[0] ?? '', name)
  await clock.advance(1)
  expect(got).toEqual(['a1', 'b1'])
  places.b1?.[Symbol.dispose]()
  await clock.advance(1)
  places.b2?.[Symbol.dispose]()
  await clock.advance(1)
  places.c1?.[Symbol.dispose]()
  await clock.advance(1)
  expect(got).toEqual(['a1', 'b1', 'b2', 'c1', 'a2'])
})

it('serves one job of every owner before the second of any, when they asked before the barrier opened', async () => {
  const clock = manualClock()
  const opened = Promise.withResolvers<void>()
  const starts = new StartLimiter({ atOnce: 3, perSecond: 1_000_000 }, clock, opened.promise)
  const got: string[] = []
  for (const name of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) {
    void starts.begin(name[0] ?? '', 1_000, signal).then(() => got.push(name))
  }
  await clock.advance(1)
  expect(got, 'the barrier is closed').toEqual([])
  opened.resolve()
  await clock.advance(0)
  await clock.advance(1)
  expect(got).toEqual(['a1', 'b1', 'c1'])
})
