import type { WeightsOutcome } from '../set-weights.ts'

/** Returns whether the chain holds exactly these weights, or a commit to them that the running validator reveals. */
export function hasTaken(outcome: WeightsOutcome | undefined): boolean {
  return outcome?.outcome === 'committed' || (outcome?.outcome === 'set' && outcome.confirmed)
}
