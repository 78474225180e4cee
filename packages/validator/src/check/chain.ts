/** What `check` asks the chain: whether it answers, what it lets this validator do, and what time it is there. */
import { neuronNames } from '@horde/chain/btcli/commands'
import { ChainError } from '@horde/chain/errors'
import { validatorRuleOf } from '@horde/chain/settings'
import { connectSubtensor } from '@horde/chain/subtensor'
import { blockFinding } from '@horde/chain/watch/block'
import { clockFinding, clockOffset } from '@horde/chain/watch/clock'
import { registrationFinding } from '@horde/chain/watch/registration'
import { silentLog } from '@horde/kit/log'
import { systemClock as clock } from '@horde/kit/time'
import { bad, type Finding, ok, warn } from '@horde/kit/watch/finding'
import { AUTHENTICATION_WINDOW_SECONDS } from '@horde/protocol/validator-miner'
import type { ValidatorConfig } from '../config.ts'
import { servingMiners } from '../jobs/find-miners.ts'
import { standingFindings, versionFindings } from '../watch/standing.ts'
import { WHY_REGISTERED } from '../watch/validator-watches.ts'

/** How long a node may take to answer at all, in milliseconds. */
const CONNECT_MS = 20_000
/** How long to wait for a block that is news, in milliseconds: longer than there is between two. */
const NEW_BLOCK_MS = 15_000

export async function* chainFindings(
  config: ValidatorConfig,
  hotkey: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const { BITTENSOR_NETWORK: endpoints, BITTENSOR_NETUID: netuid, ALLOW_PRIVATE_MINERS: allowPrivate } = config
  try {
    const options = { validatorRule: validatorRuleOf(config), log: silentLog, firstConnectionMs: CONNECT_MS }
    await using chain = await connectSubtensor({ endpoints, signal, ...options })
    yield await blockFinding(chain, clock)
    yield clockFinding(await clockOffset({ chain, clock }, NEW_BLOCK_MS, signal), AUTHENTICATION_WINDOW_SECONDS)
    const [metagraph, { stakeThresholdRao, weightsVersionKey }] = await Promise.all([
      chain.metagraph(netuid),
      chain.hyperparameters(netuid),
    ])
    const subnet = { metagraph, stakeThresholdRao, weightsVersionKey }
    yield* versionFindings(subnet, config.WEIGHTS_VERSION_KEY)
    if (hotkey !== undefined) {
      const own = { hotkey, names: neuronNames(config) }
      yield registrationFinding(metagraph, { ...own, purpose: WHY_REGISTERED })
      yield* standingFindings(subnet, own)
    }
    yield minersFinding(servingMiners(metagraph, hotkey ?? '', allowPrivate))
  } catch (error) {
    if (!(error instanceof ChainError)) throw error
    yield bad('chain', error.message, 'see whether this machine reaches a node, and BITTENSOR_NETWORK and _NETUID')
  }
}

function minersFinding({ miners, skipped }: ReturnType<typeof servingMiners>): Finding {
  const others = skipped === 0 ? '' : `; ${skipped} more at private addresses are not dialled`
  if (miners.length > 0) return ok('miners', `${miners.length} have announced an address${others}`)
  return warn('miners', `none has announced an address${others}`, 'see whether BITTENSOR_NETUID is the right one')
}
