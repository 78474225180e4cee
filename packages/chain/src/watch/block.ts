import type { Clock } from '@horde/kit/time'
import { type Finding, ok, warn } from '@horde/kit/watch/finding'
import type { Subtensor } from '../subtensor.ts'

/** A best block older than this suggests that the node is behind, in ms. */
const OLD_BLOCK_MS = 120_000

/** Checks that the node answers and that its best block is recent. @throws ChainError when the node does not answer */
export async function blockFinding(chain: Pick<Subtensor, 'blockTime' | 'endpoint'>, clock: Clock): Promise<Finding> {
  const { block, timeMs } = await chain.blockTime()
  const ageMs = Math.max(0, clock.now() - timeMs)
  const found = `${URL.parse(chain.endpoint ?? '')?.host} answers, block ${block}, ${Math.round(ageMs / 1000)} s old`
  if (ageMs < OLD_BLOCK_MS) return ok('chain', found)
  return warn('chain', found, 'name another node in BITTENSOR_NETWORK if this one stays behind')
}
