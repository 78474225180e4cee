import { manualClock } from '@horde/kit/time'
import { expect, test } from 'vitest'
import { watchRoot } from './watch-root.ts'

const DISK = { bytes: 1_000, freeBytes: 500, inodes: 1_000, freeInodes: 500 }

test('measures the disk also while a measurement of the container takes long', async () => {
  const clock = manualClock()
  const looks = [DISK, DISK, { ...DISK, freeInodes: 10 }]
  const watch = {
    clock,
    writtenBytes: () => new Promise<number>(() => {}),
    disk: async () => looks.shift() ?? DISK,
  }
  const outcome = watchRoot({ maxBytes: 100, everyMs: 2_000 }, watch, new AbortController().signal)
  await clock.whenSleeping(2)
  await clock.advance(4_000)
  expect(await outcome).toBe('filled the disk')
})
