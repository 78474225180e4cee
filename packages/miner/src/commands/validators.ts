/** The command `validators`: lists the validators that may use this miner, as the chain names them now. */
import { rankValidators, shownRule } from '@horde/chain/rank-validators'
import { validatorRuleOf } from '@horde/chain/settings'
import { connectSubtensor } from '@horde/chain/subtensor'
import { createLog } from '@horde/kit/log'
import { readMinerConfig } from '../config.ts'
import { validatorsTable } from '../operator/output/validators-table.ts'
import type { CommandDeps } from './run-command.ts'

/** How long a node may take to accept the connection, in milliseconds. */
const CONNECT_MS = 30_000

export async function listValidators(
  { json }: { json: boolean },
  { environment, print }: CommandDeps,
  signal: AbortSignal,
): Promise<number> {
  const config = readMinerConfig(environment)
  const log = createLog('miner', { level: 'warn', destination: process.stderr })
  const endpoints = config.BITTENSOR_NETWORK
  const validatorRule = validatorRuleOf(config)
  await using chain = await connectSubtensor({ endpoints, validatorRule, log, signal, firstConnectionMs: CONNECT_MS })
  const metagraph = await chain.metagraph(config.BITTENSOR_NETUID)
  const { EXTRA_VALIDATORS: extra, BANNED_VALIDATORS: banned } = config
  const validators = rankValidators(metagraph, { extra, banned })
  const { text, ...rule } = shownRule(metagraph)
  print(json ? `${JSON.stringify({ block: metagraph.block, rule, validators })}\n` : validatorsTable(validators, text))
  return 0
}
