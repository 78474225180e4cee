/** Whether the validator does its work, and what an operator should know of even if it does. */
import type { Health } from '@horde/kit/http'
import { findingSentence } from '@horde/kit/watch/finding'
import type { StatusSources } from './sources.ts'

/** How many runs in a row may fail before a loop makes the validator unready. */
const TOLERATED_FAILURES = 2
/** From this age on what is known of the subnet is old, in milliseconds. */
const OLD_SUBNET_MS = 300_000

export type HealthSources = Pick<StatusSources, 'chain' | 'loops' | 'facilitator' | 'watches' | 'subnetAgeMs'>

/** Ready: connected, no loop fails again and again, and no watch found something bad. Warnings leave it ready. */
export function healthOf(sources: HealthSources): Health {
  const findings = sources.watches().flatMap(({ findings }) => findings)
  const sentences = (verdict: string) => findings.filter(each => each.verdict === verdict).map(findingSentence)
  const unready = [...connections(sources), ...failingLoops(sources), ...sentences('bad')]
  return { live: true, ready: unready.length === 0, reasons: [...unready, ...oldSubnet(sources), ...sentences('warn')] }
}

function connections({ chain, facilitator }: HealthSources): string[] {
  const reasons: string[] = []
  if (!chain().connected) reasons.push('There is no connection to the chain.')
  if (facilitator()?.connected === false) reasons.push('There is no connection to the facilitator.')
  return reasons
}

function failingLoops({ loops }: HealthSources): string[] {
  return loops()
    .map(loop => ({ name: loop.name, failures: loop.state().failuresInARow }))
    .filter(({ failures }) => failures > TOLERATED_FAILURES)
    .map(({ name, failures }) => `The last ${failures} runs of ${name} failed.`)
}

function oldSubnet({ subnetAgeMs }: HealthSources): string[] {
  const age = subnetAgeMs() ?? 0
  if (age <= OLD_SUBNET_MS) return []
  return [`What is known of the subnet is ${Math.round(age / 1000)} s old: the chain does not answer.`]
}
