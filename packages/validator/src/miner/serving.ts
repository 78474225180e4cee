import { isIPv4 } from 'node:net'
import { isServing, type Metagraph } from '@horde/chain/metagraph'
import { isPublicAddress } from '@horde/kit/http/public-address'
import type { MinerToDial } from './link.ts'

/** A miner as a batch knows it. */
export interface ServingMiner extends MinerToDial {
  readonly uid: number
}

/**
 * The miners of a subnet that can be dialled, all but the validator itself, by uid. `left` counts those whose private
 * address keeps them out.
 */
export function servingMiners(
  metagraph: Metagraph,
  ownHotkey: string,
  allowPrivate: boolean,
): { miners: ServingMiner[]; left: number } {
  const serving = metagraph.neurons.filter(isServing).filter(neuron => neuron.hotkey !== ownHotkey)
  const dialled = serving.filter(({ axon }) => allowPrivate || isPublicAddress(axon.ip))
  return {
    miners: dialled.map(({ uid, hotkey, axon }) => ({ uid, hotkey, address: addressOf(axon.ip, axon.port) })),
    left: serving.length - dialled.length,
  }
}

/** host:port, an IPv6 host in brackets. */
export function addressOf(ip: string, port: number): string {
  return isIPv4(ip) ? `${ip}:${port}` : `[${ip}]:${port}`
}
