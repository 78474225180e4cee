/** Picks the miner for a user's job that names none. docs/decisions/0029-picking-a-miner.md has the reasons. */
import type { Chain } from '@horde/chain/chain'
import type { Database } from '@horde/kit/database'
import { type Clock, withDeadline } from '@horde/kit/time'
import type { ExecutorClass } from '@horde/protocol/classes'
import { incidentsByMiner, openJobsByMiner } from '../../db/users/miner-records.ts'
import { type ServingMiner, servingMiners } from './find-miners.ts'
import type { MinerManifests, Offered } from './miner-manifests.ts'

/** How long miners that are not known yet are waited for, in ms. */
const ASK_MS = 5_000
/** How long an incident counts, in ms. */
const INCIDENTS_MS = 86_400_000

export interface Wanted {
  executorClass: ExecutorClass
  /** The part of the job that v0 cannot express, for people. Undefined: miners of either dialect can take it. */
  obstacle: string | undefined
  /** The hotkeys of miners that were tried before. */
  tried: ReadonlySet<string>
}

export interface PickerDeps {
  netuid: number
  /** The validator's. */
  hotkey: string
  allowPrivate: boolean
  chain: Pick<Chain, 'metagraph'>
  manifests: Pick<MinerManifests, 'offered' | 'isDoubted' | 'isUnreachable' | 'askUnknown' | 'askAgain'>
  db: Database
  clock: Clock
  /** From 0 up to 1. */
  random: () => number
}

/** `refusal`: why no miner was picked, for people. */
export type Picked<T> = { picked: T } | { refusal: string }

interface Candidate extends Offered {
  miner: ServingMiner
  free: number
}

export class MinerPicker {
  readonly #deps: PickerDeps
  /** The last pick: two jobs at once must not get the same free place. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(deps: PickerDeps) {
    this.#deps = deps
  }

  /**
   * Picks a miner, and awaits `open` with it: until then the place that the job takes does not show. Rejects when the
   * chain or the database does not answer.
   */
  async pick<T>(wanted: Wanted, open: (miner: ServingMiner) => Promise<T>, signal: AbortSignal): Promise<Picked<T>> {
    const { manifests } = this.#deps
    const miners = await this.#minersFor(wanted)
    // Most of these are gone for good: only a job that no other miner can take waits for them.
    const askedAgain = manifests.askAgain(miners, signal)
    await this.#await(manifests.askUnknown(miners, signal))
    const picked = await this.#pickInTurn(miners, wanted, open)
    if ('picked' in picked || askedAgain === undefined) return picked
    await this.#await(askedAgain)
    return this.#pickInTurn(miners, wanted, open)
  }

  async #minersFor({ tried }: Wanted): Promise<ServingMiner[]> {
    const { chain, netuid, hotkey, allowPrivate } = this.#deps
    const { miners } = servingMiners(await chain.metagraph(netuid), hotkey, allowPrivate)
    return miners.filter(miner => !tried.has(miner.hotkey))
  }

  /** A miner that answers later can be picked for the next job. */
  async #await(asked: Promise<void>): Promise<void> {
    await withDeadline(asked, ASK_MS, 'manifests', this.#deps.clock).catch(() => {})
  }

  #pickInTurn<T>(
    miners: readonly ServingMiner[],
    wanted: Wanted,
    open: (miner: ServingMiner) => Promise<T>,
  ): Promise<Picked<T>> {
    const picking = this.#last.then(() => this.#pickFrom(miners, wanted, open))
    this.#last = picking.catch(() => {})
    return picking
  }

  async #pickFrom<T>(
    miners: readonly ServingMiner[],
    wanted: Wanted,
    open: (miner: ServingMiner) => Promise<T>,
  ): Promise<Picked<T>> {
    const { manifests, db, clock, random } = this.#deps
    const { executorClass, obstacle } = wanted
    const openJobs = await openJobsByMiner(db, executorClass)
    const listed = miners.flatMap(miner => this.#candidate(miner, executorClass, openJobs.get(miner.hotkey) ?? 0))
    const able = listed.filter(({ dialect }) => obstacle === undefined || dialect !== 'v0')
    const free = able.filter(candidate => candidate.free > 0)
    if (free.length === 0) {
      const unreachable = miners.filter(miner => manifests.isUnreachable(miner)).length
      return { refusal: refusalOf(wanted, listed.length, able.length) + away(unreachable) }
    }
    const sure = free.filter(({ miner }) => !manifests.isDoubted(miner))
    const incidents = await incidentsByMiner(db, new Date(clock.now() - INCIDENTS_MS))
    const weightOf = ({ miner, executors }: Candidate) => 1 / (1 + (incidents.get(miner.hotkey) ?? 0) / executors)
    return { picked: await open(drawn(sure.length > 0 ? sure : free, weightOf, random).miner) }
  }

  #candidate(miner: ServingMiner, executorClass: ExecutorClass, openJobs: number): Candidate[] {
    const offered = this.#deps.manifests.offered(miner, executorClass)
    if (offered === undefined || offered.executors === 0) return []
    return [{ ...offered, miner, free: offered.executors - openJobs }]
  }
}

function refusalOf({ executorClass, obstacle, tried }: Wanted, listed: number, able: number): string {
  const other = tried.size > 0 ? 'other ' : ''
  if (listed === 0) return `No ${other}miner has executors of the class ${executorClass}.`
  if (able > 0) return `All executors of the class ${executorClass} of ${other || 'all '}miners are busy.`
  return `All ${other}miners with executors of the class ${executorClass} speak v0, which cannot express ${obstacle}.`
}

/** Says how many miners could not be asked, which may be why no miner was picked. */
function away(unreachable: number): string {
  if (unreachable === 0) return ''
  return unreachable === 1 ? ' One miner could not be reached.' : ` ${unreachable} miners could not be reached.`
}

/** Draws one of some items, each with a chance in proportion to its weight. */
function drawn<T>(items: readonly T[], weightOf: (item: T) => number, random: () => number): T {
  let left = random() * items.reduce((sum, item) => sum + weightOf(item), 0)
  const found = items.find(item => {
    left -= weightOf(item)
    return left < 0
  })
  return found ?? (items.at(-1) as T)
}
