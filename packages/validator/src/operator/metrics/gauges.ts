/** The gauges that only the validator has. */
import { one, type Sample } from '@horde/kit/metrics/gauges'
import { DIALECTS } from '@horde/protocol/handshake/dialects'
import type { ValidatorStatus } from '../status.ts'
import type { GaugeName } from './definitions.ts'

export const GAUGES: Readonly<Record<GaugeName, (status: ValidatorStatus) => Sample[]>> = {
  validator_jobs_open: ({ figures }) => {
    return (figures?.openJobs ?? []).map(({ kind, state, jobs }) => [{ kind, state }, jobs])
  },
  validator_batches: ({ figures }) => (figures?.batches ?? []).map(({ state, batches }) => [{ state }, batches]),
  validator_last_batch_age_seconds: ({ figures, nowMs }) => {
    const at = figures?.lastBatchAt?.getTime()
    return one(at === undefined ? undefined : nowMs - at, 1_000)
  },
  validator_next_batch_seconds: ({ nextBatch, nowMs }) => {
    const at = nextBatch.at?.getTime()
    return one(at === undefined ? undefined : Math.max(0, at - nowMs), 1_000)
  },
  validator_weight_settings: ({ figures }) => {
    return (figures?.settings ?? []).map(({ state, method, settings }) => [{ state, method }, settings])
  },
  validator_weights_block: ({ figures }) => one(figures?.weightsBlock ?? undefined),
  validator_facilitator_connected: ({ facilitator }) => one(facilitator && Number(facilitator.connected)),
  validator_facilitator_dialect: ({ facilitator }) => {
    const spoken = facilitator?.dialect ?? null
    return spoken === null ? [] : DIALECTS.map(dialect => [{ dialect }, Number(dialect === spoken)])
  },
  validator_facilitator_updates_waiting: ({ facilitator }) => one(facilitator?.waiting),
  validator_miners: ({ miners }) => {
    return DIALECTS.map(dialect => [{ dialect }, miners.filter(miner => miner.dialect === dialect).length])
  },
  validator_subnet_age_seconds: ({ subnetAgeMs }) => one(subnetAgeMs, 1_000),
  validator_permit: ({ eligibility }) => one(eligibility && Number(eligibility.permit)),
  validator_stake_tao: ({ eligibility }) => one(eligibility?.stakeTao ?? undefined),
  validator_rank: ({ eligibility }) => one(eligibility?.rank ?? undefined),
  validator_loop_failures: ({ loops }) => loops.map(({ name, state }) => [{ loop: name }, state.failuresInARow]),
}
