import { type Finding, ok, warn } from '@horde/kit/check/finding'
import type { Clock } from '@horde/kit/time'
import type { ChainTime } from '../watch/clock.ts'

/** An older best block suggests that the node is behind, in milliseconds. */
const OLD_BLOCK_MS = 120_000

/** Reports that a chain node answers, and how old its best block is. */
export async function blockFinding(
  chain: Pick<ChainTime, 'blockTime'> & { endpoint: string | null },
  clock: Clock,
): Promise<Finding> {
  const { block, timeMs } = await chain.blockTime()
  const ageMs = Math.max(0, clock.now() - timeMs)
  const found = `${URL.parse(chain.endpoint ?? '')?.host} answers, block ${block}, ${Math.round(ageMs / 1000)} s old`
  if (ageMs < OLD_BLOCK_MS) return ok('chain', found)
  return warn('chain', found, 'name another node in BITTENSOR_NETWORK if this one stays behind')
}
