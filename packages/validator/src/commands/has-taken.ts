import type { WeightsOutcome } from '../set-weights.ts'

/** Whether the chain has just these weights, or the commit to them, which a validator that runs reveals. */
export function hasTaken(outcome: WeightsOutcome | undefined): boolean {
  return outcome?.outcome === 'committed' || (outcome?.outcome === 'set' && outcome.confirmed)
}
