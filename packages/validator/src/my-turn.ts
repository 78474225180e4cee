/** When a validator's own batch is due: every window, each validator in its own part of it. Pure. */

export interface TurnRequest {
  /** ms since the epoch */
  nowMs: number
  /** How long a window is, in ms. Windows are counted from the Unix epoch. */
  windowMs: number
  /** The validator's place in the validators' order, from 0. */
  rank: number
  /** How many validators share the window. */
  validators: number
  /** When this validator's last batch started, in ms since the epoch. */
  lastStartMs: number | undefined
}

export interface Turn {
  /** When the part begins in which the next batch is due, and when it ends, in ms since the epoch. */
  startMs: number
  endMs: number
}

/**
 * The next turn: `window start + rank · window / validators`, in the first window in which no batch of this validator was
 * started yet. In the middle of its part a validator that comes late still begins; after it, it waits for the next window.
 */
export function nextTurn({ nowMs, windowMs, rank, validators, lastStartMs }: TurnRequest): Turn {
  const partMs = windowMs / Math.max(1, validators)
  const windowStart = Math.floor(nowMs / windowMs) * windowMs
  const turn = { startMs: windowStart + rank * partMs, endMs: windowStart + (rank + 1) * partMs }
  // A start far in the future is one by a clock that was wrong.
  const isDone = lastStartMs !== undefined && lastStartMs >= windowStart && lastStartMs < nowMs + windowMs
  const isMissed = nowMs >= turn.endMs
  return isDone || isMissed ? { startMs: turn.startMs + windowMs, endMs: turn.endMs + windowMs } : turn
}
