/** This machine's clock against the chain's: what peers sign counts only close to their time. */

import type { Clock } from '@horde/kit/time'
import { bad, type Finding, ok, warn } from '@horde/kit/watch/finding'
import type { Watch } from '@horde/kit/watch/watches'
import type { Chain } from '../chain.ts'

/** From how far apart on the clocks are a warning, in milliseconds. A block takes 1 to 3 s to come here: we seem ahead by that. */
const WARN_MS = 5_000
/** Of so many looks the one in which the block came soonest counts. */
const LOOKS = 5
const EVERY_MS = 60_000
/** How long a look waits for a block that is news, in milliseconds: one that was there before tells less. */
const WAIT_MS = 2_000
const LOOK_AGAIN_MS = 100

export type ClockDeps = { chain: Pick<Chain, 'state' | 'blockTime'>; clock: Clock }

/** How far this clock is ahead of the chain's, in milliseconds; negative: behind. */
type Offset = {
  ms: number
  /** The block came while we listened. Otherwise it may have waited for us, and only a clock that is behind shows. */
  isExact: boolean
}

/** @param windowSeconds how far from our time an authentication counts */
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

/** @param waitMs how long to wait for a block that is news, in milliseconds */
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
  if (ms > 0 && !isExact) return ok('clock', "not behind the chain's; how far ahead of it a new block will tell")
  const seconds = (Math.abs(ms) / 1000).toFixed(1)
  const found = `${seconds} s ${ms < 0 ? 'behind' : 'ahead of'} the chain's`
  const advice = `set this machine's clock by NTP: authentications count within ${windowSeconds} s of it`
  const measured = ms / 1000
  if (Math.abs(ms) >= windowSeconds * 1000) return { ...bad('clock', found, advice), measured }
  if (Math.abs(ms) >= WARN_MS) return { ...warn('clock', found, advice), measured }
  return { ...ok('clock', found), measured }
}
