/** The command `announce`: announces the miner's address on the chain once. */
import { ChainError } from '@horde/chain/errors'
import { ownHotkey } from '@horde/chain/settings'
import { connectSubtensor } from '@horde/chain/subtensor'
import { createLog } from '@horde/kit/log'
import { addressToAnnounce, announce } from '../announce.ts'
import { readMinerConfig } from '../config.ts'
import type { CommandDeps } from './run-command.ts'

/** How long a node may take to accept the connection, in milliseconds. */
const CONNECT_MS = 30_000

export async function announceOnce(
  { environment, print, complain }: CommandDeps,
  signal: AbortSignal,
): Promise<number> {
  const config = readMinerConfig(environment)
  const { BITTENSOR_NETUID: netuid, BITTENSOR_MINER_PORT: port, BITTENSOR_NETWORK: endpoints } = config
  if (port === 0) {
    complain('BITTENSOR_MINER_PORT is 0: only the running miner knows the port that the system chose\n')
    return 1
  }
  if (config.MIGRATING) {
    complain('MIGRATING is set: this miner is not announced\n')
    return 1
  }
  const log = createLog('miner', { level: 'warn', destination: process.stderr })
  const hotkey = await ownHotkey(config)
  const ip = await addressToAnnounce(config.BITTENSOR_MINER_ADDRESS, config.ADDRESS_SERVICES, log, signal)
  await using chain = await connectSubtensor({ endpoints, log, signal, firstConnectionMs: CONNECT_MS })
  try {
    const outcome = await announce({ chain, netuid, hotkey, ip, port, log })
    if ('waitsForBlock' in outcome) {
      const { waitsForBlock } = outcome
      complain(`${ip} port ${port}: the last announcement is too recent, try again in block ${waitsForBlock}\n`)
      return 1
    }
    const { announced, block } = outcome
    const since = block === null ? '' : announced ? `, in block ${block}` : `, since block ${block}`
    print(`${announced ? 'announced' : 'the chain says already'}: ${ip} port ${port}${since}\n`)
    return 0
  } catch (error) {
    if (!(error instanceof ChainError)) throw error
    complain(`${ip} port ${port} could not be announced: ${error.message}\n`)
    return 1
  }
}
