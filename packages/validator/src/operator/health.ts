/** Whether the validator does its work, and what an operator should know of even if it does. */
import { CHAIN, type Lack, type ServiceHealth, serviceHealth } from '@horde/operator/admin/health'
import type { StatusSources } from './sources.ts'

/** How many runs in a row may fail before a loop makes the validator unready. */
const TOLERATED_FAILURES = 2
/** From this age on what is known of the subnet is old, in milliseconds. */
const OLD_SUBNET_MS = 300_000

export type HealthSources = Pick<StatusSources, 'chain' | 'loops' | 'facilitator' | 'watches' | 'subnetAgeMs'>

/** Ready: connected, no loop fails again and again, and no watch found something bad. Warnings leave it ready. */
export function healthOf(sources: HealthSources): ServiceHealth {
  const bad = [...connections(sources), ...failingLoops(sources)]
  return serviceHealth({ bad, warned: oldSubnet(sources) }, sources.watches())
}

function connections({ chain, facilitator }: HealthSources): Lack[] {
  const lacks: Lack[] = []
  if (!chain().connected) lacks.push({ name: CHAIN, sentence: 'There is no connection to the chain.' })
  if (facilitator()?.connected === false) {
    lacks.push({ name: 'facilitator', sentence: 'There is no connection to the facilitator.' })
  }
  return lacks
}

/** Without the chain most of them fail: an update must not take that for a fault of the new release. */
function failingLoops({ loops, chain }: HealthSources): Lack[] {
  return loops()
    .map(loop => ({ loop: loop.name, failures: loop.state().failuresInARow }))
    .filter(({ failures }) => failures > TOLERATED_FAILURES)
    .map(({ loop, failures }) => {
      const name = chain().connected ? `loop ${loop}` : CHAIN
      return { name, sentence: `The last ${failures} runs of ${loop} failed.` }
    })
}

function oldSubnet({ subnetAgeMs }: HealthSources): Lack[] {
  const age = subnetAgeMs() ?? 0
  if (age <= OLD_SUBNET_MS) return []
  const seconds = Math.round(age / 1000)
  return [{ name: CHAIN, sentence: `What is known of the subnet is ${seconds} s old: the chain does not answer.` }]
}
