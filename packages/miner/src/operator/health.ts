/** Whether the miner can take work, and what an operator should know of even if it can. */

import { rankValidators } from '@horde/chain/rank-validators'
import type { Health } from '@horde/kit/http'
import { findingSentence } from '@horde/kit/watch/finding'
import type { StatusSources } from './sources.ts'

export type HealthSources = Pick<
  StatusSources,
  'listAgeMs' | 'oldListMs' | 'metagraph' | 'extra' | 'banned' | 'watches' | 'migrating' | 'jobs'
>

/** Ready: validators are known, and no watch found something bad. Warnings are reasons that leave it ready. */
export function healthOf(sources: HealthSources): Health {
  const findings = sources.watches().flatMap(({ findings }) => findings)
  const sentences = (verdict: string) => findings.filter(each => each.verdict === verdict).map(findingSentence)
  const unready = [...migration(sources), ...whyNobodyComes(sources), ...sentences('bad')]
  return { live: true, ready: unready.length === 0, reasons: [...unready, ...oldList(sources), ...sentences('warn')] }
}

function migration({ migrating, jobs }: HealthSources): string[] {
  if (!migrating) return []
  return [`The miner is migrating: it takes no new jobs. Jobs still open: ${jobs().length}.`]
}

function whyNobodyComes({ listAgeMs, metagraph, extra, banned }: HealthSources): string[] {
  if (listAgeMs() === undefined) return ['The chain has not said yet who the validators are.']
  const served = rankValidators(metagraph(), { extra, banned }).filter(({ note }) => note !== 'banned')
  return served.length === 0 ? ['The chain names no validators on this subnet.'] : []
}

function oldList({ listAgeMs, oldListMs }: HealthSources): string[] {
  const age = listAgeMs() ?? 0
  if (age <= oldListMs) return []
  return [`The list of validators is ${Math.round(age / 1000)} s old: the chain does not answer.`]
}
