/** What the validator itself lacks, for /health. */
import { CHAIN, type Lack, type Lacks } from '@horde/operator/admin/health'
import type { ValidatorStatus } from './status.ts'

/** How many runs of a loop may fail in a row before the validator is not ready. */
const TOLERATED_FAILURES = 2
/** An older answer of the chain about the subnet is a warning, in milliseconds. */
const OLD_SUBNET_MS = 300_000

type HealthInput = Pick<ValidatorStatus, 'chain' | 'loops' | 'facilitator' | 'subnetAgeMs'>

/** The validator can work while it is connected and no loop keeps failing. */
export function lacksOf(status: HealthInput): Lacks {
  return { bad: [...missingConnections(status), ...failingLoops(status)], warned: oldSubnet(status) }
}

function missingConnections({ chain, facilitator }: HealthInput): Lack[] {
  const lacks: Lack[] = []
  if (!chain.connected) lacks.push({ name: CHAIN, sentence: 'There is no connection to the chain.' })
  if (facilitator?.connected === false) {
    lacks.push({ name: 'facilitator', sentence: 'There is no connection to the facilitator.' })
  }
  return lacks
}

/** Without the chain most loops fail. They then count as `chain`, so that an update does not blame the new release. */
function failingLoops({ loops, chain }: HealthInput): Lack[] {
  return loops
    .filter(({ state }) => state.failuresInARow > TOLERATED_FAILURES)
    .map(({ name: loop, state }) => {
      const name = chain.connected ? `loop ${loop}` : CHAIN
      return { name, sentence: `The last ${state.failuresInARow} runs of ${loop} failed.` }
    })
}

function oldSubnet({ subnetAgeMs: age = 0 }: HealthInput): Lack[] {
  if (age <= OLD_SUBNET_MS) return []
  const seconds = Math.round(age / 1_000)
  const sentence = `The chain's last answer about the subnet is ${seconds} s old: the chain does not answer.`
  return [{ name: CHAIN, sentence }]
}
