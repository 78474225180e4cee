/** Numbers that are read whenever somebody asks for the metrics. */
import { one, type Sample } from '@horde/kit/metrics/gauges'
import { measured, verdicts, watchAges } from '@horde/operator/metrics/watch-gauges'
import type { Figures } from '../../db/for-operator/figures.ts'
import { healthOf } from '../health.ts'
import type { StatusSources } from '../sources.ts'
import { type Standing, standingOf } from '../watches/standing.ts'
import type { GaugeName } from './definitions.ts'

/** What gauges are read from. `figures`: undefined while the database has not said them. */
export type GaugeSources = { sources: StatusSources; figures: Figures | undefined; nowMs: number }

/** A gauge that there is nothing to say of gives no sample. */
export const READ_GAUGES: Readonly<Record<GaugeName, (from: GaugeSources) => Sample[]>> = {
  validator_jobs_open: ({ figures }) => {
    return (figures?.openJobs ?? []).map(({ kind, state, jobs }) => [{ kind, state }, jobs])
  },
  validator_batches: ({ figures }) => (figures?.batches ?? []).map(({ state, batches }) => [{ state }, batches]),
  validator_last_batch_age_seconds: ({ figures, nowMs }) => {
    const at = figures?.lastBatchAt?.getTime()
    return one(at === undefined ? undefined : nowMs - at, 1_000)
  },
  validator_next_batch_seconds: ({ sources, nowMs }) => {
    const at = sources.nextBatch().at?.getTime()
    return one(at === undefined ? undefined : Math.max(0, at - nowMs), 1_000)
  },
  validator_weight_settings: ({ figures }) => {
    return (figures?.settings ?? []).map(({ state, method, settings }) => [{ state, method }, settings])
  },
  validator_weights_block: ({ figures }) => one(figures?.weightsBlock ?? undefined),
  validator_facilitator_connected: ({ sources }) => {
    const state = sources.facilitator()
    return one(state && Number(state.connected))
  },
  validator_facilitator_updates_waiting: ({ sources }) => one(sources.facilitator()?.waiting),
  validator_chain_connected: ({ sources }) => one(Number(sources.chain().connected)),
  validator_chain_block: ({ sources }) => one(sources.chain().lastBlock?.number),
  validator_chain_block_age_seconds: ({ sources, nowMs }) => {
    const seen = sources.chain().lastBlock?.seenAtMs
    return one(seen === undefined ? undefined : nowMs - seen, 1_000)
  },
  validator_subnet_age_seconds: ({ sources }) => one(sources.subnetAgeMs(), 1_000),
  validator_registered: from => standing(from, ({ registered }) => Number(registered)),
  validator_permit: from => standing(from, ({ permit }) => Number(permit)),
  validator_stake_tao: from => standing(from, ({ stakeTao }) => stakeTao ?? undefined),
  validator_rank: from => standing(from, ({ rank }) => rank ?? undefined),
  validator_clock_offset_seconds: ({ sources }) => measured(sources.watches(), 'clock'),
  validator_disk_free_bytes: ({ sources }) => {
    return measured(sources.watches(), 'disk').map(([{ of = '' }, free]) => [{ disk: of }, free])
  },
  validator_database_seconds: ({ sources }) => measured(sources.watches(), 'database').slice(0, 1),
  validator_database_bytes: ({ sources }) => measured(sources.watches(), 'database').slice(1),
  validator_watch_verdict: ({ sources }) => verdicts(sources.watches()),
  validator_watch_age_seconds: ({ sources, nowMs }) => watchAges(sources.watches(), nowMs),
  validator_loop_failures: ({ sources }) => {
    return sources.loops().map(({ name, state }) => [{ loop: name }, state().failuresInARow])
  },
  validator_ready: ({ sources }) => one(Number(healthOf(sources).ready)),
}

function standing({ sources }: GaugeSources, read: (own: Standing) => number | undefined): Sample[] {
  const known = sources.subnet()
  return one(known && read(standingOf(known.metagraph, sources.own.hotkey)))
}
