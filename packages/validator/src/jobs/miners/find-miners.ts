/** Finds miners on the chain, by name or all that serve. */
import { isIPv4 } from 'node:net'
import { isServing, type Metagraph, type Neuron, neuronOf } from '@horde/chain/metagraph'
import { isPublicAddress } from '@horde/kit/http/public-address'
import type { MinerToDial } from '../job-channel.ts'

/** A miner as a batch knows it. */
export interface ServingMiner extends MinerToDial {
  readonly uid: number
}

/** A miner that was named cannot be dialled. The message says why. */
export class UnknownMinerError extends Error {
  override readonly name = 'UnknownMinerError'
}

/**
 * Returns the miners of a subnet that can be dialled, all but the validator itself, by uid. `skipped` counts those that
 * are left out because their address is private.
 */
export function servingMiners(
  metagraph: Metagraph,
  ownHotkey: string,
  allowPrivate: boolean,
): { miners: ServingMiner[]; skipped: number } {
  const serving = metagraph.neurons.filter(isServing).filter(neuron => neuron.hotkey !== ownHotkey)
  const dialled = serving.filter(({ axon }) => allowPrivate || isPublicAddress(axon.ip))
  return {
    miners: dialled.map(({ uid, hotkey, axon }) => ({ uid, hotkey, address: addressOf(axon.ip, axon.port) })),
    skipped: serving.length - dialled.length,
  }
}

/**
 * Returns the miners that were named: by hotkey, by uid, or as hotkey@host:port, which need not be on the chain.
 *
 * @throws UnknownMinerError
 */
export function chooseMiners(names: readonly string[], metagraph: Metagraph, allowPrivate: boolean): ServingMiner[] {
  return names.map(name => {
    const at = name.indexOf('@')
    if (at > 0) return atAddress(name.slice(0, at), name.slice(at + 1), metagraph)
    const neuron = /^\d{1,5}$/.test(name) ? metagraph.neurons[Number(name)] : neuronOf(metagraph, name)
    if (!neuron) throw new UnknownMinerError(`${name} is no neuron of subnet ${metagraph.netuid}`)
    return announced(neuron, allowPrivate)
  })
}

function atAddress(hotkey: string, address: string, metagraph: Metagraph): ServingMiner {
  if (!/^(\[[\da-f:]+\]|[^\s:/[\]]+):\d{1,5}$/i.test(address)) {
    throw new UnknownMinerError(`${address} is no address: host:port, an IPv6 host in brackets`)
  }
  return { hotkey, address, uid: neuronOf(metagraph, hotkey)?.uid ?? -1 }
}

function announced(neuron: Neuron, allowPrivate: boolean): ServingMiner {
  const { uid, hotkey } = neuron
  if (!isServing(neuron)) throw new UnknownMinerError(`the miner ${hotkey} (uid ${uid}) has announced no address`)
  const { ip, port } = neuron.axon
  if (!allowPrivate && !isPublicAddress(ip)) {
    throw new UnknownMinerError(`the miner ${hotkey} (uid ${uid}) has announced the private address ${ip}`)
  }
  return { uid, hotkey, address: addressOf(ip, port) }
}

/** host:port, an IPv6 host in brackets. */
function addressOf(ip: string, port: number): string {
  return isIPv4(ip) ? `${ip}:${port}` : `[${ip}]:${port}`
}
