/** What `check` asks the chain: whether it answers, what it says of this miner, and what time it is there. */
import { ChainError } from '@horde/chain/errors'
import type { Metagraph } from '@horde/chain/metagraph'
import { connectSubtensor, type Subtensor } from '@horde/chain/subtensor'
import { silentLog } from '@horde/kit/log'
import { systemClock as clock } from '@horde/kit/time'
import type { MinerConfig } from '../config.ts'
import { rankValidators } from '../operator/rank-validators.ts'
import { clockFinding, clockOffset } from '../watch/clock.ts'
import { bad, type Finding, ok, warn } from '../watch/finding.ts'
import { registrationFinding } from '../watch/registration.ts'

/** How long a node may take to answer at all, in milliseconds. */
const CONNECT_MS = 20_000
/** How long to wait for a block that is news, in milliseconds: longer than there is between two. */
const NEW_BLOCK_MS = 15_000
/** From this age on the last block is a sign that the node is behind, in milliseconds. */
const OLD_BLOCK_MS = 120_000

/** Gives the subnet as the chain says it, for those who look further; undefined when it does not say it. */
export async function* chainFindings(
  config: MinerConfig,
  hotkey: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Finding, Metagraph | undefined> {
  const endpoints = config.BITTENSOR_NETWORK
  try {
    await using chain = await connectSubtensor({ endpoints, log: silentLog, signal, firstConnectionMs: CONNECT_MS })
    yield await blockFinding(chain)
    yield clockFinding(await clockOffset({ chain, clock }, NEW_BLOCK_MS, signal))
    const metagraph = await chain.metagraph(config.BITTENSOR_NETUID)
    if (hotkey !== undefined) yield registrationFinding(metagraph, hotkey)
    yield validatorsFinding(metagraph, config)
    return metagraph
  } catch (error) {
    if (!(error instanceof ChainError)) throw error
    yield bad('chain', error.message, 'see whether this machine reaches a node, and BITTENSOR_NETWORK and _NETUID')
    return undefined
  }
}

async function blockFinding(chain: Subtensor): Promise<Finding> {
  const { block, timeMs } = await chain.blockTime()
  const ageMs = Math.max(0, clock.now() - timeMs)
  const found = `${URL.parse(chain.endpoint ?? '')?.host} answers, block ${block}, ${Math.round(ageMs / 1000)} s old`
  if (ageMs < OLD_BLOCK_MS) return ok('chain', found)
  return warn('chain', found, 'name another node in BITTENSOR_NETWORK if this one stays behind')
}

function validatorsFinding(metagraph: Metagraph, config: MinerConfig): Finding {
  const { EXTRA_VALIDATORS: extra, BANNED_VALIDATORS: banned } = config
  const served = rankValidators(metagraph, { extra, banned }).filter(({ note }) => note !== 'banned')
  if (served.length > 0) return ok('validators', `${served.length} may talk to this miner (the command validators)`)
  return bad('validators', 'none may talk to this miner', 'see whether BITTENSOR_NETUID is the right one')
}
