/** Whether the own hotkey is registered on the subnet: validators find miners through the chain. */
import { type Metagraph, neuronOf } from '@horde/chain/metagraph'
import { bad, type Finding, ok } from './finding.ts'
import type { Watch } from './watches.ts'

/** Often: it looks at what the list of validators was made of, and asks nobody. */
const EVERY_MS = 5_000

/** @param metagraph as the chain said it last; undefined while it has not */
export function registrationWatch(hotkey: string, metagraph: () => Metagraph | undefined): Watch {
  const look = async (): Promise<Finding[]> => {
    const known = metagraph()
    return known ? [registrationFinding(known, hotkey)] : []
  }
  return { name: 'registration', everyMs: EVERY_MS, look }
}

export function registrationFinding(metagraph: Metagraph, hotkey: string): Finding {
  const { netuid } = metagraph
  const own = neuronOf(metagraph, hotkey)
  if (own) return ok('registration', `the hotkey has uid ${own.uid} on subnet ${netuid}`)
  const advice = `register ${hotkey} (btcli subnet register --netuid ${netuid}): validators find miners through the chain`
  return bad('registration', `the hotkey is not registered on subnet ${netuid}`, advice)
}
