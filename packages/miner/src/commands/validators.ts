/** The command `validators`: who may talk to this miner, as the chain says it now. */

import { type RankedValidator, rankValidators, shownRule } from '@horde/chain/rank-validators'
import { validatorRuleOf } from '@horde/chain/settings'
import { connectSubtensor } from '@horde/chain/subtensor'
import { createLog } from '@horde/kit/log'
import { textTable } from '@horde/operator/command-line/text-table'
import { readMinerConfig } from '../config.ts'
import type { CommandDeps } from './run-command.ts'

/** How long the chain may take to answer at all, in milliseconds. */
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
  const table = `Validators: ${text}.\n${tableOf(validators)}`
  print(json ? `${JSON.stringify({ block: metagraph.block, rule, validators })}\n` : table)
  return 0
}

function tableOf(validators: readonly RankedValidator[]): string {
  const rows = validators.map(({ rank, uid, hotkey, stakeTao, permit, note }) => {
    const stake = stakeTao === null ? '–' : stakeTao.toFixed(0)
    return [String(rank ?? '–'), hotkey, String(uid ?? '–'), stake, permit ? 'yes' : 'no', note ?? '']
  })
  return textTable([['rank', 'hotkey', 'uid', 'stake TAO', 'permit', 'note'], ...rows])
}
