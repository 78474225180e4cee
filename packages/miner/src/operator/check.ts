/**
 * The `check` lines about the chain and about how validators reach this miner: registration, validators, address, port.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { neuronNames, serveAxonCommand } from '@horde/chain/btcli/commands'
import { ChainError } from '@horde/chain/errors'
import { type Axon, type Metagraph, neuronOf } from '@horde/chain/metagraph'
import { rankValidators, ruleSummary } from '@horde/chain/rank-validators'
import { validatorRuleOf } from '@horde/chain/settings'
import { connectSubtensor } from '@horde/chain/subtensor'
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import { isPublicAddress } from '@horde/kit/http/public-address'
import { silentLog } from '@horde/kit/log'
import { systemClock as clock } from '@horde/kit/time'
import { askAdminPort } from '@horde/operator/admin/ask-admin-port'
import { chainTimeFindings } from '@horde/operator/check/chain-time'
import { registrationFinding } from '@horde/operator/watch/registration'
import { AUTHENTICATION_WINDOW_SECONDS } from '@horde/protocol/v0/validator-miner'
import { addressToAnnounce } from '../announce/announce.ts'
import type { MinerConfig } from '../config.ts'
import type { PoolSettings } from '../horde/pools/pool-settings.ts'
import { manifestFinding } from './manifest-finding.ts'
import type { MinerStatusJson } from './status-json.ts'
import { ownNeuron } from './watches/miner-watches.ts'

/** How long a node may take to accept the connection, in milliseconds. */
const CONNECT_MS = 20_000

const UNSEEN = 'this check cannot see whether it can be reached from outside'

/** Returns the subnet for further checks; undefined when the chain does not answer. */
export async function* chainFindings(
  config: MinerConfig,
  pools: readonly PoolSettings[],
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
    if (config.COMMIT_MANIFEST && hotkey !== undefined) {
      yield await manifestFinding(chain, { netuid: config.BITTENSOR_NETUID, hotkey, pools })
    }
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
  const { text } = ruleSummary(metagraph)
  if (served.length === 0) {
    return bad('validators', `none may talk to this miner: ${text}`, 'see whether BITTENSOR_NETUID is the right one')
  }
  return ok('validators', `${served.length} may talk to this miner (the command validators): ${text}`)
}

/** Checks the address of this miner, and the one that the chain has for it. */
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
  const onChain = axon === null ? 'no address' : `${axon.ip} port ${axon.port}`
  const advice = `start the miner, or: announce; or, on a machine that has the hotkey: ${command}`
  return warn('announced', `the chain says ${onChain}, not ${ip} port ${port}`, advice)
}

/**
 * Checks whether the port for validators is free, or held by the running miner.
 *
 * @param databaseInUse whether another process has the embedded database open: then that is the running miner
 */
export async function portFinding(
  config: MinerConfig,
  hotkey: string | undefined,
  databaseInUse: boolean,
): Promise<Finding> {
  const { LISTEN_HOST: host, BITTENSOR_MINER_PORT: port } = config
  if (port === 0) return warn('port', 'the system chooses another one at each start', 'set BITTENSOR_MINER_PORT')
  const code = await bindError(host, port)
  const name = `${port} on ${host}`
  if (code === undefined) return ok('port', `${name} is free; ${UNSEEN}`)
  if (code !== 'EADDRINUSE') {
    return bad('port', `${name} can not be opened (${code})`, 'see LISTEN_HOST and BITTENSOR_MINER_PORT')
  }
  if (databaseInUse || (await isOwnMiner(config, hotkey)))
    return ok('port', `${name} is held by the running miner; ${UNSEEN}`)
  const advice = `see who has it (ss -ltnp 'sport = :${port}'); with ADMIN_PORT set a running miner is known by itself`
  return warn('port', `${name} is in use by an unknown process`, advice)
}

/** Tries to open the port. Returns the code of the error, or undefined when it could be opened. */
async function bindError(host: string, port: number): Promise<string | undefined> {
  const server = createServer().listen(port, host)
  const code = await once(server, 'listening').then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  )
  await new Promise(resolve => server.close(resolve))
  return code
}

async function isOwnMiner(config: MinerConfig, hotkey: string | undefined): Promise<boolean> {
  const asked = await askAdminPort<Partial<MinerStatusJson>>(config, '/status.json')
  if ('problem' in asked) return false
  const { miner } = asked.answer
  return miner?.hotkey === hotkey && miner?.port === config.BITTENSOR_MINER_PORT
}
