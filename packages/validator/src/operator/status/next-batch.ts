import type { ScheduleState } from '../../batches/batch-schedule.ts'

/** When the next batch starts by itself, and its part of the window in which each validator has one. */
export type NextBatch = {
  /** Undefined: none starts by itself, or it is not known yet. */
  at: Date | undefined
  /** Why then, or why not, in words. */
  why: string
  window: TurnWindow | undefined
}

export type TurnWindow = {
  /** How many parts it has, and which one is ours, from 0. */
  parts: number
  own: number
  /** How much of the window has passed, from 0 to 1. */
  passed: number
}

/**
 * @param state what was found when the turns were looked at last
 * @param windowMs how long the window is, in milliseconds
 * @param nowMs since the epoch, in milliseconds
 */
export function nextBatchOf(state: ScheduleState | undefined, windowMs: number, nowMs: number): NextBatch {
  if (!state)
    return { at: undefined, why: 'not known yet: the chain has not said who the validators are', window: undefined }
  const { rank, validators, turn } = state
  if (!turn) {
    const why = `this hotkey is none of the ${validators} validators, and BATCHES_OUTSIDE_VALIDATORS is not set`
    return { at: undefined, why, window: undefined }
  }
  const partMs = turn.endMs - turn.startMs
  const parts = Math.max(1, Math.round(windowMs / partMs))
  const own = Math.min(parts - 1, Math.round((turn.startMs % windowMs) / partMs))
  const place = rank === undefined ? `behind ${validators} validators` : `${rank + 1} of ${validators} validators`
  const why = `part ${own + 1} of ${parts} of the window, ${place}`
  return { at: new Date(turn.startMs), why, window: { parts, own, passed: (nowMs % windowMs) / windowMs } }
}
