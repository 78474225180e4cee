/** Announces the miner's address on the chain, when the chain says another one or none. */
import type { Chain } from '@horde/chain/chain'
import { ChainError } from '@horde/chain/errors'
import { type IpNumber, ipToNumber } from '@horde/chain/ip'
import { type Axon, neuronOf } from '@horde/chain/metagraph'
import type { Hotkey } from '@horde/chain/wallet'
import type { Log } from '@horde/kit/log'
import { findAddress } from './own-address.ts'

/** Addresses that the chain refuses, before it looks at its rate limit. */
const REFUSED = ['127.0.0.1', '::1', '255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'].map(ipToNumber)

export type Announcement = { chain: Chain; netuid: number; hotkey: Hotkey; ip: string; port: number; log: Log }

export type AnnounceOutcome =
  /** The chain says the address. `announced`: this call has announced it, in `block`. */
  | { readonly announced: boolean; readonly block: number | null }
  /** The chain accepts another announcement from this block on. */
  | { readonly waitsForBlock: number }

/**
 * Announces once, unless the chain says the same already, or would refuse because the last announcement was too recent.
 *
 * @throws ChainError when the chain refuses the address or does not answer
 */
export async function announce(announcement: Announcement): Promise<AnnounceOutcome> {
  const { chain, netuid, hotkey, ip, port, log } = announcement
  const { axon, block: now } = await axonOf(announcement)
  if (axon && !saysTheSame(axon, ip, port) && !REFUSED.some(each => isSame(each, ipToNumber(ip)))) {
    const allowed = await allowedFrom(axon, announcement)
    if (now < allowed) return { waitsForBlock: allowed }
  }
  try {
    const { announced, block } = await chain.serveAxon(netuid, { ip, port }, hotkey)
    if (announced) log.info({ ip, port, block }, 'address announced on the chain')
    return { announced, block }
  } catch (error) {
    // The chain writes the same address differently, or another process announced for this hotkey meanwhile.
    if (!(error instanceof ChainError) || error.code !== 'ServingTooFast') throw error
    const latest = await axonOf(announcement)
    if (!latest.axon) throw error
    return { waitsForBlock: await allowedFrom(latest.axon, announcement) }
  }
}

/** The address that the chain has for the hotkey, and the block of its answer. */
async function axonOf({ chain, netuid, hotkey }: Announcement): Promise<{ axon: Axon | null; block: number }> {
  const metagraph = await chain.metagraph(netuid)
  return { axon: neuronOf(metagraph, hotkey.ss58)?.axon ?? null, block: metagraph.block }
}

/** The first block that accepts another announcement. */
async function allowedFrom({ block }: Axon, { chain, netuid }: Announcement): Promise<number> {
  return block + (await chain.hyperparameters(netuid)).servingRateLimit
}

function saysTheSame(axon: Axon, ip: string, port: number): boolean {
  return axon.port === port && isSame(ipToNumber(axon.ip), ipToNumber(ip))
}

function isSame(one: IpNumber, other: IpNumber): boolean {
  return one.ip === other.ip && one.ipType === other.ipType
}

/** The address to announce: see `findAddress`. */
export async function addressToAnnounce(
  given: string,
  services: readonly string[],
  log: Log,
  signal: AbortSignal,
): Promise<string> {
  const { address, how } = await findAddress(given, services, log, signal)
  if (given === 'auto') log.info({ address, how }, 'public address found')
  return address
}
