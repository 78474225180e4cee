import type { AxonToServe } from '../chain.ts'
import { ChainError } from '../errors.ts'
import { ipToNumber } from '../ip.ts'
import type { Axon } from '../metagraph.ts'
import type { Live } from './connection.ts'
import type { Call } from './extrinsics/submit.ts'
import { axonOf } from './read-metagraph.ts'
import { bestBlockHash, entryOf, readStorage } from './storage.ts'

/** What the Python SDK announces, for every axon. */
export const AXON_PROTOCOL = 4

const PLACEHOLDER = 0

/** What a hotkey announced on a subnet, if anything. */
export async function readAxon(live: Live, netuid: number, hotkey: string): Promise<Axon | null> {
  const read = { entry: entryOf(live.api, 'subtensorModule', 'axons'), args: [netuid, hotkey] }
  const [axon] = await readStorage(live, await bestBlockHash(live), [read])
  return axon ? axonOf(axon) : null
}

/**
 * Whether the chain already says what would be announced.
 * @throws ChainError InvalidIpAddress, InvalidPort for what is no address
 */
export function isAnnounced(axon: Axon | null, wanted: AxonToServe): axon is Axon {
  const { ip, ipType } = parsedIp(wanted.ip)
  if (!Number.isInteger(wanted.port) || wanted.port < 1 || wanted.port > 65_535) throw new ChainError('InvalidPort')
  return (
    axon !== null &&
    axon.ipType === ipType &&
    ipToNumber(axon.ip).ip === ip &&
    axon.port === wanted.port &&
    axon.protocol === AXON_PROTOCOL &&
    axon.version === (wanted.version ?? 0)
  )
}

export function axonCall(live: Live, netuid: number, axon: AxonToServe): Call {
  const serveAxon = live.api.tx.subtensorModule?.serveAxon
  if (!serveAxon) throw new ChainError('Unsupported', 'the call serve_axon is missing')
  const { ip, ipType } = parsedIp(axon.ip)
  const version = axon.version ?? 0
  return serveAxon(netuid, version, ip, axon.port, ipType, AXON_PROTOCOL, PLACEHOLDER, PLACEHOLDER)
}

function parsedIp(text: string): ReturnType<typeof ipToNumber> {
  try {
    return ipToNumber(text)
  } catch (cause) {
    throw new ChainError('InvalidIpAddress', text, { cause })
  }
}
