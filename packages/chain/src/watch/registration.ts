/** Checks that this neuron's hotkey is registered on the subnet. */
import { bad, type Finding, ok } from '@horde/kit/watch/finding'
import type { Watch } from '@horde/kit/watch/watches'
import { type NeuronNames, registerCommand } from '../btcli/commands.ts'
import { type Metagraph, neuronOf } from '../metagraph.ts'

/** Often, since it looks only at the metagraph in memory. */
const EVERY_MS = 5_000

/** This neuron. `purpose` tells the operator why it must be registered: `validators find miners through the chain`. */
export type OwnNeuron = { hotkey: string; names: NeuronNames; purpose: string }

/** Makes the watch of the registration. @param metagraph returns the latest one; undefined before the first */
export function registrationWatch(own: OwnNeuron, metagraph: () => Metagraph | undefined): Watch {
  const look = async (): Promise<Finding[]> => {
    const known = metagraph()
    return known ? [registrationFinding(known, own)] : []
  }
  return { name: 'registration', everyMs: EVERY_MS, look }
}

/** Judges whether a metagraph contains this neuron. */
export function registrationFinding(metagraph: Metagraph, { hotkey, names, purpose }: OwnNeuron): Finding {
  const { netuid } = metagraph
  const own = neuronOf(metagraph, hotkey)
  if (own) return ok('registration', `the hotkey has uid ${own.uid} on subnet ${netuid}`)
  const advice = `register ${hotkey} on the machine that holds its coldkey (${registerCommand(names)}): ${purpose}`
  return bad('registration', `the hotkey is not registered on subnet ${netuid}`, advice)
}
