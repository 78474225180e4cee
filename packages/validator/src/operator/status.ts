/** The validator's status. Health, gauges, JSON and page are all made of it. */
import type { Chain } from '@horde/chain/chain'
import { type RankedValidator, rankValidators } from '@horde/chain/rank-validators'
import type { LoopState } from '@horde/kit/loop'
import type { Clock } from '@horde/kit/time'
import { CHAIN, type Lack, type Lacks } from '@horde/operator/admin/health'
import type { ServiceStatus } from '@horde/operator/admin/observed-service'
import type { Watches } from '@horde/operator/watch/watches'
import type { ScheduleState } from '../batches/batch-schedule.ts'
import type { ValidatorConfig } from '../config.ts'
import type { Figures } from '../db/overview.ts'
import type { KnownDialects, MinerDialect } from '../jobs/dialects/known-dialects.ts'
import type { FacilitatorState } from '../organic/facilitator-connection.ts'
import type { ChosenMethod } from '../weights/weight-method.ts'
import type { StoredFigures } from './metrics/job-counters.ts'
import { type NextBatch, nextBatchOf } from './next-batch.ts'
import type { SubnetView } from './subnet-view.ts'
import { type Eligibility, eligibilityOf, type KnownSubnet } from './watches/eligibility.ts'

export type ValidatorStatus = ServiceStatus & {
  /** The subnet as of the chain's last answer; undefined before the first one. */
  subnet: KnownSubnet | undefined
  /** The age of that answer, in milliseconds. */
  subnetAgeMs: number | undefined
  /** What the chain and the miners allow this validator; undefined before the chain's first answer. */
  eligibility: Eligibility | undefined
  validators: readonly RankedValidator[]
  /** How weights are sent to the chain, and why; undefined before the chain's first answer. */
  weightMethod: ChosenMethod | undefined
  nextBatch: NextBatch
  loops: readonly LoopStatus[]
  /** Undefined when no facilitator is set. */
  facilitator: FacilitatorState | undefined
  /** The miners whose dialect is known, the one seen last first. */
  miners: readonly MinerDialect[]
  /** What the database answered last for /metrics; undefined before its first answer. */
  figures: Figures | undefined
}

export type LoopStatus = { name: string; state: LoopState }

export type StatusDeps = {
  config: Pick<ValidatorConfig, 'BITTENSOR_NETUID' | 'BATCH_INTERVAL_SECONDS'>
  chain: Pick<Chain, 'state'>
  hotkey: string
  startedAtMs: number
  subnet: SubnetView
  loops: readonly { name: string; state(): LoopState }[]
  /** Returns what is known of this validator's next batch. */
  turn(): ScheduleState | undefined
  facilitator: { state(): FacilitatorState } | undefined
  dialects: Pick<KnownDialects, 'list'>
  figures: Pick<StoredFigures, 'last'>
  watches: Pick<Watches, 'state'>
  clock: Clock
}

/** Reads the status from memory. */
export function readStatus(deps: StatusDeps): ValidatorStatus {
  const { config, chain, hotkey, subnet, loops, turn, facilitator, figures, watches, clock } = deps
  const nowMs = clock.now()
  const metagraph = subnet.known?.metagraph
  const eligibility = metagraph && eligibilityOf(metagraph, hotkey)
  return {
    nowMs,
    startedAtMs: deps.startedAtMs,
    hotkey,
    netuid: config.BITTENSOR_NETUID,
    uid: eligibility?.uid,
    chain: chain.state(),
    watches: watches.state(),
    subnet: subnet.known,
    subnetAgeMs: subnet.ageMs(),
    eligibility,
    validators: rankValidators(metagraph, { extra: [], banned: [] }),
    weightMethod: subnet.weightMethod,
    nextBatch: nextBatchOf(turn(), config.BATCH_INTERVAL_SECONDS * 1_000, nowMs),
    loops: loops.map(({ name, state }) => ({ name, state: state() })),
    facilitator: facilitator?.state(),
    miners: deps.dialects.list(),
    figures: figures.last,
  }
}

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
