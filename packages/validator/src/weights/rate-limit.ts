import type { Chain } from '@horde/chain/chain'
import { ChainError } from '@horde/chain/errors'
import { type Metagraph, type Neuron, neuronOf } from '@horde/chain/metagraph'
import type { Hotkey } from '@horde/chain/wallet'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'

/** How often to read the block number while waiting, in ms. */
const BLOCK_POLL_MS = 1_000

/** How long to wait for the rate limit of a subnet. */
export interface RateLimitRequest {
  netuid: number
  /** The most blocks to wait. */
  maxWaitBlocks: number
  /** How often to read the block number, in ms. Default: 1 s. */
  blockPollMs?: number
}

export interface RateLimitDeps {
  chain: Pick<Chain, 'metagraph' | 'hyperparameters' | 'blockNumber'>
  hotkey: Hotkey
  clock: Clock
  log: Log
}

/**
 * Waits until the rate limit allows setting weights. If that takes more than `maxWaitBlocks`, it returns the block at
 * which the limit ends, without waiting.
 * @throws ChainError NotRegistered
 */
export async function waitForRateLimit(
  { netuid, maxWaitBlocks, blockPollMs = BLOCK_POLL_MS }: RateLimitRequest,
  { chain, hotkey, clock, log }: RateLimitDeps,
  signal: AbortSignal,
): Promise<number | undefined> {
  const [metagraph, { weightsSetRateLimit }] = await Promise.all([
    chain.metagraph(netuid),
    chain.hyperparameters(netuid),
  ])
  const { lastUpdate } = ownNeuron(metagraph, hotkey)
  if (lastUpdate === 0) return undefined
  const dueAtBlock = lastUpdate + weightsSetRateLimit
  let block = await chain.blockNumber()
  if (dueAtBlock - block > maxWaitBlocks) return dueAtBlock
  if (block < dueAtBlock) log.info({ block, dueAtBlock }, 'waiting for the rate limit to set weights')
  while (block < dueAtBlock) {
    await clock.sleep(blockPollMs, signal)
    block = await chain.blockNumber()
  }
  return undefined
}

/** Returns this validator's neuron. @throws ChainError NotRegistered */
export function ownNeuron(metagraph: Metagraph, hotkey: Hotkey): Neuron {
  const neuron = neuronOf(metagraph, hotkey.ss58)
  if (!neuron) throw new ChainError('NotRegistered', `${hotkey.ss58} on subnet ${metagraph.netuid}`)
  return neuron
}
