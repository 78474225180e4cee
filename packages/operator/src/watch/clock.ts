/** Compares this machine's clock with the chain's. Peers reject signatures with a timestamp far from their own time. */
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import type { Clock } from '@horde/kit/time'
import type { Watch } from './watches.ts'

/** A larger difference is a warning, in milliseconds. A block arrives after 1 to 3 s, so this clock seems ahead. */
const WARN_MS = 5_000
/** The smallest offset of this many looks is reported: in that look the block arrived fastest. */
const LOOKS = 5
const EVERY_MS = 60_000
/** How long a look waits for a new block, in milliseconds. A block received earlier gives only an upper bound. */
const WAIT_MS = 2_000
const LOOK_AGAIN_MS = 100

/** The part of a chain client that clock findings need. */
export type ChainTime = {
  state(): {
    /** `fresh`: it arrived while the client was listening. `seenAtMs`: when, since the epoch, in milliseconds. */
    lastBlock: { number: number; seenAtMs: number; fresh: boolean } | null
  }
  /** The best block, and its time since the epoch, in milliseconds. */
  blockTime(): Promise<{ block: number; timeMs: number }>
}

export type ClockDeps = { chain: ChainTime; clock: Clock }

type Offset = {
  /** How far this clock is ahead of the chain's, in milliseconds; negative: behind. */
  ms: number
  /** Whether the block arrived during the look. If not, only a clock that is behind can be detected. */
  isExact: boolean
}

/** @param windowSeconds the largest difference at which peers accept an authentication */
export function clockWatch(deps: ClockDeps, windowSeconds: number): Watch {
  let exact: number[] = []
  const look = async (signal: AbortSignal): Promise<Finding[]> => {
    const offset = await clockOffset(deps, WAIT_MS, signal)
    if (offset.isExact) exact = [...exact.slice(1 - LOOKS), offset.ms]
    const least = exact.length > 0 ? Math.min(...exact) : undefined
    return [clockFinding(least === undefined ? offset : { ms: least, isExact: true }, windowSeconds)]
  }
  return { name: 'clock', everyMs: EVERY_MS, look }
}

/** @param waitMs how long to wait for a new block, in milliseconds */
export async function clockOffset({ chain, clock }: ClockDeps, waitMs: number, signal: AbortSignal): Promise<Offset> {
  const until = clock.monotonic() + waitMs
  for (;;) {
    const head = chain.state().lastBlock
    const mayWait = clock.monotonic() < until
    if (head?.fresh || !mayWait) {
      const { block, timeMs } = await chain.blockTime()
      if (head?.fresh && head.number === block) return { ms: head.seenAtMs - timeMs, isExact: true }
      if (!mayWait) return { ms: clock.now() - timeMs, isExact: false }
    }
    await clock.sleep(LOOK_AGAIN_MS, signal)
  }
}

export function clockFinding({ ms, isExact }: Offset, windowSeconds: number): Finding {
  if (ms > 0 && !isExact) return ok('clock', "not behind the chain's; the next block shows how far ahead it is")
  const seconds = (Math.abs(ms) / 1000).toFixed(1)
  const found = `${seconds} s ${ms < 0 ? 'behind' : 'ahead of'} the chain's`
  const advice = `set this machine's clock by NTP: authentications count within ${windowSeconds} s of it`
  const measured = ms / 1000
  if (Math.abs(ms) >= windowSeconds * 1000) return { ...bad('clock', found, advice), measured }
  if (Math.abs(ms) >= WARN_MS) return { ...warn('clock', found, advice), measured }
  return { ...ok('clock', found), measured }
}
