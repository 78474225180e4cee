/** Watches whether the service's own hotkey is registered on the subnet. */
import { bad, type Finding, ok } from '@horde/kit/check/finding'
import type { Watch } from './watches.ts'

/** A look reads what is already known of the subnet and asks nothing, so it can be frequent. */
const EVERY_MS = 5_000

/** What the watch needs to know of a subnet, as the chain reported it. */
export type KnownSubnet = { netuid: number; neurons: readonly { hotkey: string; uid: number }[] }

export type OwnNeuron = {
  hotkey: string
  /** The shell command that registers the hotkey. */
  registerCommand: string
  /** Why the hotkey must be registered: `validators find miners through the chain`. */
  purpose: string
}

/** @param subnet the chain's last answer; undefined before the first one */
export function registrationWatch(own: OwnNeuron, subnet: () => KnownSubnet | undefined): Watch {
  const look = async (): Promise<Finding[]> => {
    const known = subnet()
    return known ? [registrationFinding(known, own)] : []
  }
  return { name: 'registration', everyMs: EVERY_MS, look }
}

export function registrationFinding(subnet: KnownSubnet, { hotkey, registerCommand, purpose }: OwnNeuron): Finding {
  const { netuid, neurons } = subnet
  const own = neurons.find(neuron => neuron.hotkey === hotkey)
  if (own) return ok('registration', `the hotkey has uid ${own.uid} on subnet ${netuid}`)
  const advice = `register ${hotkey} on the machine that holds its coldkey (${registerCommand}): ${purpose}`
  return bad('registration', `the hotkey is not registered on subnet ${netuid}`, advice)
}
