import { expect, it } from 'vitest'
import { nextBatchOf } from './next-batch.ts'

const WINDOW_MS = 7_200_000

it('is not known before the validators are known', () => {
  expect(nextBatchOf(undefined, WINDOW_MS, 0)).toMatchObject({
    at: undefined,
    why: expect.stringMatching(/not known yet/),
  })
})

it('is not scheduled for a hotkey that is no validator, and names the setting that changes this', () => {
  const state = { rank: undefined, validators: 24, turn: undefined }
  expect(nextBatchOf(state, WINDOW_MS, 0)).toEqual({
    ...{ at: undefined, window: undefined },
    why: 'this hotkey is none of the 24 validators, and BATCHES_OUTSIDE_VALIDATORS is not set',
  })
})

it.each([
  [0, 0, 'part 1 of 24 of the window, 1 of 24 validators'],
  [23, 23, 'part 24 of 24 of the window, 24 of 24 validators'],
])('starts at rank %d in its own slot of the window', (rank, own, why) => {
  const startMs = 5 * WINDOW_MS + (rank * WINDOW_MS) / 24
  const turn = { startMs, endMs: startMs + WINDOW_MS / 24 }
  expect(nextBatchOf({ rank, validators: 24, turn }, WINDOW_MS, 4.25 * WINDOW_MS)).toEqual({
    ...{ at: new Date(startMs), why, window: { parts: 24, own, passed: 0.25 } },
  })
})

it('starts after all validators for a hotkey that has no rank', () => {
  const turn = { startMs: (2 / 3) * WINDOW_MS, endMs: WINDOW_MS }
  expect(nextBatchOf({ rank: undefined, validators: 2, turn }, WINDOW_MS, 0)).toMatchObject({
    ...{ why: 'part 3 of 3 of the window, behind 2 validators', window: { parts: 3, own: 2 } },
  })
})
