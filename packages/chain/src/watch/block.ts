import type { Clock } from '@horde/kit/time'
import { type Finding, ok, warn } from '@horde/kit/watch/finding'
import type { Subtensor } from '../subtensor.ts'

/** From this age on the last block is a sign that the node is behind, in milliseconds. */
const OLD_BLOCK_MS = 120_000

/** That a node answers, and how old its best block is. */
export async function blockFinding(chain: Pick<Subtensor, 'blockTime' | 'endpoint'>, clock: Clock): Promise<Finding> {
  const { block, timeMs } = await chain.blockTime()
  const ageMs = Math.max(0, clock.now() - timeMs)
  const found = `${URL.parse(chain.endpoint ?? '')?.host} answers, block ${block}, ${Math.round(ageMs / 1000)} s old`
  if (ageMs < OLD_BLOCK_MS) return ok('chain', found)
  return warn('chain', found, 'name another node in BITTENSOR_NETWORK if this one stays behind')
}
