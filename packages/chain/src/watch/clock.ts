/**
 * Compares this machine's clock with the chain's. Peers reject authentications that are signed too far from their time.
 */
import type { Clock } from '@horde/kit/time'
import { bad, type Finding, ok, warn } from '@horde/kit/watch/finding'
import type { Watch } from '@horde/kit/watch/watches'
import type { Chain } from '../chain.ts'

/** Offset from which on to warn, in ms. A block takes 1 to 3 s to arrive, so the clock seems ahead by that much. */
const WARN_MS = 5_000
/** Number of measurements of which the smallest counts: the one whose block arrived fastest. */
const MEASUREMENTS = 5
const EVERY_MS = 60_000
/** How long a measurement waits for a new block, in ms. A block that was already there tells less. */
const WAIT_MS = 2_000
const RETRY_MS = 100

export type ClockDeps = { chain: Pick<Chain, 'state' | 'blockTime'>; clock: Clock }

/** How far this machine's clock is ahead of the chain's, in ms; negative if it is behind. */
type Offset = {
  ms: number
  /** True if the block arrived while we were listening. An older block can only show that the clock is behind. */
  isExact: boolean
}

/** Makes the watch that checks the clock. @param windowSeconds how far from our time an authentication may be signed */
export function clockWatch(deps: ClockDeps, windowSeconds: number): Watch {
  let exact: number[] = []
  const look = async (signal: AbortSignal): Promise<Finding[]> => {
    const offset = await clockOffset(deps, WAIT_MS, signal)
    if (offset.isExact) exact = [...exact.slice(1 - MEASUREMENTS), offset.ms]
    const least = exact.length > 0 ? Math.min(...exact) : undefined
    return [clockFinding(least === undefined ? offset : { ms: least, isExact: true }, windowSeconds)]
  }
  return { name: 'clock', everyMs: EVERY_MS, look }
}

/** Measures the clock's offset once. @param waitMs how long to wait for a new block, in ms */
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
    await clock.sleep(RETRY_MS, signal)
  }
}

/** Judges an offset: bad beyond `windowSeconds`, a warning from `WARN_MS` on. */
export function clockFinding({ ms, isExact }: Offset, windowSeconds: number): Finding {
  if (ms > 0 && !isExact) return ok('clock', "not behind the chain's; the next block will show how far it is ahead")
  const seconds = (Math.abs(ms) / 1000).toFixed(1)
  const found = `${seconds} s ${ms < 0 ? 'behind' : 'ahead of'} the chain's`
  const advice = `set this machine's clock by NTP: authentications must be signed within ${windowSeconds} s of its time`
  const measured = ms / 1000
  if (Math.abs(ms) >= windowSeconds * 1000) return { ...bad('clock', found, advice), measured }
  if (Math.abs(ms) >= WARN_MS) return { ...warn('clock', found, advice), measured }
  return { ...ok('clock', found), measured }
}
