/** What the miner itself lacks, for /health. */
import { CHAIN, type Lack, type Lacks } from '@horde/operator/admin/health'
import type { MinerStatus } from './status.ts'

type HealthInput = Pick<MinerStatus, 'listAgeMs' | 'oldListMs' | 'validators' | 'migrating' | 'jobs' | 'chain'>

/** The miner can take work when it knows its validators, and does not migrate. */
export function lacksOf(status: HealthInput): Lacks {
  return { bad: [...migration(status), ...missingValidators(status)], warned: chainProblems(status) }
}

function migration({ migrating, jobs }: HealthInput): Lack[] {
  if (!migrating) return []
  const sentence = `The miner is migrating: it takes no new jobs. Jobs still open: ${jobs.length}.`
  return [{ name: 'migrating', sentence }]
}

function missingValidators({ listAgeMs, validators }: HealthInput): Lack[] {
  if (listAgeMs === undefined) {
    return [{ name: CHAIN, sentence: 'The chain has not named the validators yet.' }]
  }
  if (validators.some(({ note }) => note !== 'banned')) return []
  return [{ name: 'validators', sentence: 'The chain names no validators on this subnet.' }]
}

/** While the chain is away, the miner serves the validators that it knows, so this is only a warning. */
function chainProblems({ listAgeMs: age, oldListMs, chain }: HealthInput): Lack[] {
  if (age === undefined) return []
  if (age > oldListMs) {
    const seconds = Math.round(age / 1_000)
    return [{ name: CHAIN, sentence: `The list of validators is ${seconds} s old: the chain does not answer.` }]
  }
  return chain.connected ? [] : [{ name: CHAIN, sentence: 'There is no connection to the chain.' }]
}
