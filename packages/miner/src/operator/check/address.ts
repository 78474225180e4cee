/** The `check` lines about the address of this miner, and the address that the chain has for it. */
import { neuronNames, serveAxonCommand } from '@horde/chain/btcli/commands'
import { type Axon, type Metagraph, neuronOf } from '@horde/chain/metagraph'
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import { silentLog } from '@horde/kit/log'
import { isPublicAddress } from '@horde/kit/public-address'
import { addressToAnnounce } from '../../announce.ts'
import type { MinerConfig } from '../../config.ts'

export async function* addressFindings(
  config: MinerConfig,
  hotkey: string | undefined,
  metagraph: Metagraph | undefined,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const { BITTENSOR_MINER_ADDRESS: given, ADDRESS_SERVICES: services, BITTENSOR_MINER_PORT: port } = config
  let ip: string
  try {
    ip = await addressToAnnounce(given, services, silentLog, signal)
  } catch (error) {
    yield bad('address', (error as Error).message, 'set BITTENSOR_MINER_ADDRESS')
    return
  }
  yield ownFinding(ip, given)
  const axon = metagraph && hotkey !== undefined ? neuronOf(metagraph, hotkey)?.axon : undefined
  if (axon !== undefined) {
    yield announcedFinding(axon, ip, port, serveAxonCommand(neuronNames(config), ip, port))
  }
}

function ownFinding(ip: string, given: string): Finding {
  const found = `${ip}, ${given === 'auto' ? 'found by itself' : 'as set'}`
  if (isPublicAddress(ip)) return ok('address', found)
  const advice = 'set BITTENSOR_MINER_ADDRESS, unless all validators are in the same network'
  return warn('address', `${found}, is not one of the internet`, advice)
}

/** @param command the btcli command with which an owner announces the address */
function announcedFinding(axon: Axon | null, ip: string, port: number, command: string): Finding {
  if (axon !== null && axon.ip === ip && axon.port === port) {
    return ok('announced', `the chain says so since block ${axon.block}`)
  }
  const said = axon === null ? 'no address' : `${axon.ip} port ${axon.port}`
  const advice = `start the miner, or: announce; or, on a machine that has the hotkey: ${command}`
  return warn('announced', `the chain says ${said}, not ${ip} port ${port}`, advice)
}
