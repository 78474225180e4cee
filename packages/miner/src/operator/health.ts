/** Whether the miner can take work, and what an operator should know of even if it can. */

import { rankValidators } from '@horde/chain/rank-validators'
import { CHAIN, type Lack, type ServiceHealth, serviceHealth } from '@horde/operator/admin/health'
import type { StatusSources } from './sources.ts'

export type HealthSources = Pick<
  StatusSources,
  'listAgeMs' | 'oldListMs' | 'metagraph' | 'extra' | 'banned' | 'watches' | 'migrating' | 'jobs' | 'chain'
>

/** Ready: validators are known, and no watch found something bad. Warnings are reasons that leave it ready. */
export function healthOf(sources: HealthSources): ServiceHealth {
  const bad = [...migration(sources), ...whyNobodyComes(sources)]
  return serviceHealth({ bad, warned: chainAway(sources) }, sources.watches())
}

function migration({ migrating, jobs }: HealthSources): Lack[] {
  if (!migrating) return []
  const sentence = `The miner is migrating: it takes no new jobs. Jobs still open: ${jobs().length}.`
  return [{ name: 'migrating', sentence }]
}

function whyNobodyComes({ listAgeMs, metagraph, extra, banned }: HealthSources): Lack[] {
  if (listAgeMs() === undefined) {
    return [{ name: CHAIN, sentence: 'The chain has not said yet who the validators are.' }]
  }
  const served = rankValidators(metagraph(), { extra, banned }).filter(({ note }) => note !== 'banned')
  if (served.length > 0) return []
  return [{ name: 'validators', sentence: 'The chain names no validators on this subnet.' }]
}

/** A miner serves the validators that it knows while the chain is away. */
function chainAway({ listAgeMs, oldListMs, chain }: HealthSources): Lack[] {
  const age = listAgeMs()
  if (age === undefined) return []
  if (age > oldListMs) {
    const seconds = Math.round(age / 1000)
    return [{ name: CHAIN, sentence: `The list of validators is ${seconds} s old: the chain does not answer.` }]
  }
  return chain().connected ? [] : [{ name: CHAIN, sentence: 'There is no connection to the chain.' }]
}
