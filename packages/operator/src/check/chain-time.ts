/** The `check` lines about a chain node and this machine's clock. */
import { type Finding, ok, warn } from '@horde/kit/check/finding'
import type { Clock } from '@horde/kit/time'
import { type ChainTime, clockFinding, clockOffset } from '../watch/clock.ts'

/** An older best block suggests that the node is behind, in milliseconds. */
const OLD_BLOCK_MS = 120_000
/** How long to wait for a new block, in milliseconds. Longer than the chain's block time. */
const NEW_BLOCK_MS = 15_000

type CheckedChain = ChainTime & { endpoint: string | null }

/** @param windowSeconds the largest difference at which peers accept an authentication */
export async function* chainTimeFindings(
  chain: CheckedChain,
  { windowSeconds, clock }: { windowSeconds: number; clock: Clock },
  signal: AbortSignal,
): AsyncGenerator<Finding, void> {
  yield await blockFinding(chain, clock)
  yield clockFinding(await clockOffset({ chain, clock }, NEW_BLOCK_MS, signal), windowSeconds)
}

/** Reports that a chain node answers, and how old its best block is. */
async function blockFinding(chain: CheckedChain, clock: Clock): Promise<Finding> {
  const { block, timeMs } = await chain.blockTime()
  const ageMs = Math.max(0, clock.now() - timeMs)
  const found = `${URL.parse(chain.endpoint ?? '')?.host} answers, block ${block}, ${Math.round(ageMs / 1000)} s old`
  if (ageMs < OLD_BLOCK_MS) return ok('chain', found)
  return warn('chain', found, 'name another node in BITTENSOR_NETWORK if this one stays behind')
}
