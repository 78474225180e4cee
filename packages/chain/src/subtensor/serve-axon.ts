import type { AxonToServe } from '../chain.ts'
import { ChainError } from '../errors.ts'
import { ipToNumber } from '../ip.ts'
import type { Axon } from '../metagraph.ts'
import { bestBlockHash } from './blocks.ts'
import type { NodeConnection } from './connection.ts'
import type { Call } from './extrinsics/submit.ts'
import { axonOf } from './read-metagraph.ts'
import { entryOf, readStorage } from './storage.ts'

/** The protocol number that the Python SDK announces for every axon. */
export const AXON_PROTOCOL = 4

const PLACEHOLDER = 0

/** Returns the axon that a hotkey announced on a subnet; null if it announced none. */
export async function readAxon(node: NodeConnection, netuid: number, hotkey: string): Promise<Axon | null> {
  const read = { entry: entryOf(node.api, 'subtensorModule', 'axons'), args: [netuid, hotkey] }
  const [axon] = await readStorage(node, await bestBlockHash(node), [read])
  return axon ? axonOf(axon) : null
}

/**
 * Returns whether the chain already holds this announcement.
 * @throws ChainError InvalidIpAddress or InvalidPort when `wanted` is not a valid address
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

/** Builds the call that announces an axon. @throws ChainError InvalidIpAddress; Unsupported */
export function axonCall(node: NodeConnection, netuid: number, axon: AxonToServe): Call {
  const serveAxon = node.api.tx.subtensorModule?.serveAxon
  if (!serveAxon) throw new ChainError('Unsupported', 'the runtime has no call serve_axon')
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
