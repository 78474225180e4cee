import { manualClock } from '@horde/kit/time'
import { describe, expect, it } from 'vitest'
import { Inbox } from './inbox.ts'

const never = new AbortController().signal

describe('Inbox', () => {
  it('gives what came, in order, even when the time is over', async () => {
    const inbox = new Inbox<number>(manualClock())
    inbox.put(1)
    inbox.put(2)
    expect([await inbox.next(0, never), await inbox.next(-5, never)]).toEqual([1, 2])
  })

  it('gives nothing when nothing comes in time, and loses nothing that comes later', async () => {
    const clock = manualClock()
    const inbox = new Inbox<number>(clock)
    const none = inbox.next(100, never)
    await clock.advance(99)
    expect(clock.sleeping).toBe(1)
    await clock.advance(1)
    expect(await none).toBeUndefined()
    const later = inbox.next(100, never)
    inbox.put(3)
    expect(await later).toBe(3)
    expect(clock.sleeping).toBe(0)
  })

  it('repeats its last word after everything before it', async () => {
    const inbox = new Inbox<string>(manualClock())
    inbox.put('first')
    inbox.end('over')
    expect(inbox.put('too late')).toBe(false)
    inbox.end('over again')
    expect([await inbox.next(0, never), await inbox.next(0, never), await inbox.next(0, never)]).toEqual([
      'first',
      'over',
      'over',
    ])
  })

  it('keeps a hundred items at most', () => {
    const inbox = new Inbox<number>(manualClock())
    const kept = Array.from({ length: 150 }, (_, i) => inbox.put(i))
    expect(kept.filter(Boolean)).toHaveLength(100)
  })

  it('rejects a wait that is given up', async () => {
    const stop = new AbortController()
    const inbox = new Inbox<number>(manualClock())
    const wait = inbox.next(100, stop.signal)
    stop.abort(new Error('enough'))
    await expect(wait).rejects.toThrow('enough')
    await expect(inbox.next(100, stop.signal)).rejects.toThrow('enough')
  })
})
