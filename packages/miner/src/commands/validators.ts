/** The command `validators`: lists the validators that may use this miner, as the chain names them now. */

import { type RankedValidator, rankValidators, ruleSummary } from '@horde/chain/rank-validators'
import { validatorRuleOf } from '@horde/chain/settings'
import { connectSubtensor } from '@horde/chain/subtensor'
import { createLog } from '@horde/kit/log'
import { textTable } from '@horde/operator/command-line/text-table'
import { readMinerConfig } from '../config.ts'
import type { CommandDeps } from './command-line.ts'

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
  const { text, ...rule } = ruleSummary(metagraph)
  print(json ? `${JSON.stringify({ block: metagraph.block, rule, validators })}\n` : validatorsTable(validators, text))
  return 0
}

/** @param rule how validators are chosen, without a full stop */
function validatorsTable(validators: readonly RankedValidator[], rule: string): string {
  const rows = validators.map(({ rank, uid, hotkey, stakeTao, permit, note }) => {
    const stake = stakeTao === null ? '–' : stakeTao.toFixed(0)
    return [String(rank ?? '–'), hotkey, String(uid ?? '–'), stake, permit ? 'yes' : 'no', note ?? '']
  })
  return `Validators: ${rule}.\n${textTable([['rank', 'hotkey', 'uid', 'stake TAO', 'permit', 'note'], ...rows])}`
}
