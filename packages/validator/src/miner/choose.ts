import { isServing, type Metagraph, type Neuron, neuronOf } from '@horde/chain/metagraph'
import { isPublicAddress } from '@horde/kit/http/public-address'
import { addressOf, type ServingMiner } from './serving.ts'

/** A miner that was named cannot be dialled. Says why. */
export class UnknownMinerError extends Error {
  override readonly name = 'UnknownMinerError'
}

/**
 * The miners that were named: by hotkey, by uid, or as hotkey@host:port, which the chain need not know.
 *
 * @throws UnknownMinerError
 */
export function chooseMiners(names: readonly string[], metagraph: Metagraph, allowPrivate: boolean): ServingMiner[] {
  return names.map(name => {
    const at = name.indexOf('@')
    if (at > 0) return fixed(name.slice(0, at), name.slice(at + 1), metagraph)
    const neuron = /^\d{1,5}$/.test(name) ? metagraph.neurons[Number(name)] : neuronOf(metagraph, name)
    if (!neuron) throw new UnknownMinerError(`${name} is no neuron of subnet ${metagraph.netuid}`)
    return announced(neuron, allowPrivate)
  })
}

function fixed(hotkey: string, address: string, metagraph: Metagraph): ServingMiner {
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
