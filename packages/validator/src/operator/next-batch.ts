import type { ScheduleState } from '../batches/batch-schedule.ts'

/** When this validator's next batch starts, and its slot in the window that all validators share. */
export type NextBatch = {
  /** Undefined: no batch is scheduled, or the schedule is not known yet. */
  at: Date | undefined
  /** Explains `at`, as a sentence without a full stop. */
  why: string
  window: BatchWindow | undefined
}

export type BatchWindow = {
  /** The number of slots, and this validator's own, from 0. */
  parts: number
  own: number
  /** The share of the window that has passed, from 0 to 1. */
  passed: number
}

/**
 * @param state the schedule as it was computed last; undefined before the first time
 * @param windowMs the length of the window, in milliseconds
 * @param nowMs since the epoch, in milliseconds
 */
export function nextBatchOf(state: ScheduleState | undefined, windowMs: number, nowMs: number): NextBatch {
  if (!state) {
    return { at: undefined, why: 'not known yet: the chain has not named the validators', window: undefined }
  }
  const { rank, validators, turn } = state
  if (!turn) {
    const why = `this hotkey is none of the ${validators} validators, and BATCHES_OUTSIDE_VALIDATORS is not set`
    return { at: undefined, why, window: undefined }
  }
  const partMs = turn.endMs - turn.startMs
  const parts = Math.max(1, Math.round(windowMs / partMs))
  const own = Math.min(parts - 1, Math.round((turn.startMs % windowMs) / partMs))
  const rankText = rank === undefined ? `behind ${validators} validators` : `${rank + 1} of ${validators} validators`
  const why = `part ${own + 1} of ${parts} of the window, ${rankText}`
  return { at: new Date(turn.startMs), why, window: { parts, own, passed: (nowMs % windowMs) / windowMs } }
}
