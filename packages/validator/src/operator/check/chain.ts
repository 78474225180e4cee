/** The `check` lines about the chain: whether it answers, its clock, what it allows this validator, and its miners. */
import { neuronNames } from '@horde/chain/btcli/commands'
import { ChainError } from '@horde/chain/errors'
import { validatorRuleOf } from '@horde/chain/settings'
import { connectSubtensor } from '@horde/chain/subtensor'
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import { silentLog } from '@horde/kit/log'
import { systemClock as clock } from '@horde/kit/time'
import { chainTimeFindings } from '@horde/operator/check/chain-time'
import { registrationFinding } from '@horde/operator/watch/registration'
import { AUTHENTICATION_WINDOW_SECONDS } from '@horde/protocol/validator-miner'
import type { ValidatorConfig } from '../../config.ts'
import { servingMiners } from '../../miner/serving.ts'
import { eligibilityFindings, versionFindings } from '../watches/eligibility.ts'
import { ownNeuron } from '../watches/validator-watches.ts'

/** How long a node may take to accept the connection, in milliseconds. */
const CONNECT_MS = 20_000

export async function* chainFindings(
  config: ValidatorConfig,
  hotkey: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const { BITTENSOR_NETWORK: endpoints, BITTENSOR_NETUID: netuid, ALLOW_PRIVATE_MINERS: allowPrivate } = config
  try {
    const options = { validatorRule: validatorRuleOf(config), log: silentLog, firstConnectionMs: CONNECT_MS }
    await using chain = await connectSubtensor({ endpoints, signal, ...options })
    yield* chainTimeFindings(chain, { windowSeconds: AUTHENTICATION_WINDOW_SECONDS, clock }, signal)
    const [metagraph, { stakeThresholdRao, weightsVersionKey }] = await Promise.all([
      chain.metagraph(netuid),
      chain.hyperparameters(netuid),
    ])
    const subnet = { metagraph, stakeThresholdRao, weightsVersionKey }
    yield* versionFindings(subnet, config.WEIGHTS_VERSION_KEY)
    if (hotkey !== undefined) {
      const own = { hotkey, names: neuronNames(config) }
      yield registrationFinding(metagraph, ownNeuron(hotkey, config))
      yield* eligibilityFindings(subnet, own)
    }
    yield minersFinding(servingMiners(metagraph, hotkey ?? '', allowPrivate))
  } catch (error) {
    if (!(error instanceof ChainError)) throw error
    yield bad('chain', error.message, 'see whether this machine reaches a node, and BITTENSOR_NETWORK and _NETUID')
  }
}

function minersFinding({ miners, left }: ReturnType<typeof servingMiners>): Finding {
  const others = left === 0 ? '' : `; ${left} more at private addresses are not dialled`
  if (miners.length > 0) return ok('miners', `${miners.length} have announced an address${others}`)
  return warn('miners', `none has announced an address${others}`, 'see whether BITTENSOR_NETUID is the right one')
}
