/** The `check` lines about the chain: whether it answers, its clock, this miner's registration, and its validators. */
import { ChainError } from '@horde/chain/errors'
import type { Metagraph } from '@horde/chain/metagraph'
import { rankValidators, shownRule } from '@horde/chain/rank-validators'
import { validatorRuleOf } from '@horde/chain/settings'
import { connectSubtensor } from '@horde/chain/subtensor'
import { bad, type Finding, ok } from '@horde/kit/check/finding'
import { silentLog } from '@horde/kit/log'
import { systemClock as clock } from '@horde/kit/time'
import { chainTimeFindings } from '@horde/operator/check/chain-time'
import { registrationFinding } from '@horde/operator/watch/registration'
import { AUTHENTICATION_WINDOW_SECONDS } from '@horde/protocol/validator-miner'
import type { MinerConfig } from '../../config.ts'
import { ownNeuron } from '../watches/miner-watches.ts'

/** How long a node may take to accept the connection, in milliseconds. */
const CONNECT_MS = 20_000

/** Returns the subnet for further checks; undefined when the chain does not answer. */
export async function* chainFindings(
  config: MinerConfig,
  hotkey: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Finding, Metagraph | undefined> {
  const endpoints = config.BITTENSOR_NETWORK
  try {
    const options = { validatorRule: validatorRuleOf(config), log: silentLog, firstConnectionMs: CONNECT_MS }
    await using chain = await connectSubtensor({ endpoints, signal, ...options })
    yield* chainTimeFindings(chain, { windowSeconds: AUTHENTICATION_WINDOW_SECONDS, clock }, signal)
    const metagraph = await chain.metagraph(config.BITTENSOR_NETUID)
    if (hotkey !== undefined) yield registrationFinding(metagraph, ownNeuron(hotkey, config))
    yield validatorsFinding(metagraph, config)
    return metagraph
  } catch (error) {
    if (!(error instanceof ChainError)) throw error
    yield bad('chain', error.message, 'see whether this machine reaches a node, and BITTENSOR_NETWORK and _NETUID')
    return undefined
  }
}

function validatorsFinding(metagraph: Metagraph, config: MinerConfig): Finding {
  const { EXTRA_VALIDATORS: extra, BANNED_VALIDATORS: banned } = config
  const served = rankValidators(metagraph, { extra, banned }).filter(({ note }) => note !== 'banned')
  const { text } = shownRule(metagraph)
  if (served.length === 0) {
    return bad('validators', `none may talk to this miner: ${text}`, 'see whether BITTENSOR_NETUID is the right one')
  }
  return ok('validators', `${served.length} may talk to this miner (the command validators): ${text}`)
}
