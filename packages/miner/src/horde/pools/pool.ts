/**
 * A pool of executors of one hardware class: its slots, which of them are taken, and the warm executors in the others.
 */
import { availableParallelism } from 'node:os'
import type { Log } from '@horde/kit/log'
import { backoff } from '@horde/kit/reconnect'
import { type Clock, withDeadline } from '@horde/kit/time'
import type { Reason } from '@horde/protocol/reasons'
import type { ExecutorChannels } from '../../executors/executor-channel.ts'
import { dialectOf } from '../executor-program.ts'
import type { ExecutorManager } from '../manager.ts'
import { environmentOf, type PoolSettings } from './pool-settings.ts'
import type { Reservation } from './reservation.ts'
import { type GpuUse, LeavingExecutor } from './reservation.ts'
import { WarmExecutor } from './warm-executor.ts'

/** How long the pool waits after a warm executor failed before it starts another, in milliseconds; longer each time. */
const REST = { minMs: 1_000, maxMs: 60_000 }
/** How long ending the warm executors may take when the pool is closed, in milliseconds. */
const CLOSE_MS = 30_000
/** How long a manager may take to answer `whyNot`, in milliseconds: an offer waits for it. */
const WHY_NOT_MS = 4_000

export type PoolUsage = {
  pool: string
  executorClass: string
  places: number
  taken: number
  /** Free slots whose last executor still cleans up. */
  leaving: number
  /** Executors that wait for a job: connected, and starting. */
  warm: { ready: number; starting: number }
  /** Whether it takes no more jobs, and is removed when its last one has ended. */
  draining: boolean
}

export type PoolDeps = {
  manager: ExecutorManager
  /** Whether the manager can find the executors of an earlier run. */
  canFindOrphans: boolean
  /** The address that its executors dial, ws://host:port. */
  minerAddress: string
  channels: ExecutorChannels
  gpuUse: GpuUse
  /** How long an executor may take to connect, and to come back when its connection is lost, in milliseconds. */
  startWithinMs: number
  graceMs: number
  clock: Clock
  log: Log
}

type Slot = {
  readonly index: number
  taken: boolean
  warm: WarmExecutor | undefined
  /** The executor of the previous job, until it is gone. */
  leaving: LeavingExecutor | undefined
}

export class ExecutorPool {
  readonly #deps: PoolDeps
  readonly #dropping = new Set<Promise<void>>()
  #settings: PoolSettings
  #slots: Slot[] = []
  #draining = false
  #rests = backoff(REST)
  #restUntil = 0

  constructor(settings: PoolSettings, deps: PoolDeps) {
    this.#settings = settings
    this.#deps = deps
    this.#addSlots()
  }

  get settings(): PoolSettings {
    return this.#settings
  }

  get manager(): ExecutorManager {
    return this.#deps.manager
  }

  /** Whether no job runs in the pool and no executor cleans up. */
  get isIdle(): boolean {
    return this.#slots.every(({ taken, leaving }) => !taken && !leaving)
  }

  /** Takes the free slot where a job would be ready soonest; undefined when there is none. Never waits. */
  reserve(): Reservation | undefined {
    if (this.#draining) return undefined
    const free = this.#slots.filter(slot => !slot.taken && this.#isOpen(slot) && this.#hasFreeGpus(slot))
    const [best] = free.sort((a, b) => rank(a) - rank(b))
    return best && this.#take(best)
  }

  /** Takes one certain slot, for a job of an earlier run; undefined when it does not exist, or is taken. */
  occupy(index: number): Reservation | undefined {
    const slot = this.#slots.find(each => each.index === index)
    return slot === undefined || slot.taken ? undefined : this.#take(slot)
  }

  /** Drops useless warm executors, and starts new ones when there are too few. Called periodically. */
  keepWarm(): void {
    for (const slot of this.#slots) if (slot.warm && !slot.taken) this.#inspect(slot, slot.warm)
    if (this.#draining || this.#deps.clock.monotonic() < this.#restUntil) return
    const waiting = this.#slots.filter(({ warm, taken }) => warm && !taken)
    const starting = waiting.filter(({ warm }) => !warm?.channel.isConnected).length
    const missing = Math.min(this.#settings.warm - waiting.length, availableParallelism() - starting)
    const isEmpty = (slot: Slot) => !slot.taken && !slot.warm && !slot.leaving && this.#isOpen(slot)
    const empty = this.#slots.filter(isEmpty)
    for (const slot of empty.slice(0, Math.max(0, missing))) this.#warm(slot)
  }

  /** Changes the settings, for executors of the same kind. Running jobs keep theirs. */
  change(settings: PoolSettings): void {
    const before = this.#settings
    this.#settings = settings
    this.#addSlots()
    const isOther =
      JSON.stringify([before.environment, before.gpus]) !== JSON.stringify([settings.environment, settings.gpus])
    for (const slot of this.#slots) if (isOther || !this.#isOpen(slot)) this.#drop(slot)
    this.#forgetClosed()
    this.#restUntil = 0
  }

  /** Refuses every reservation from now on, and drops the warm executors. */
  drain(): void {
    this.#draining = true
    for (const slot of this.#slots) this.#drop(slot)
  }

  usage(): PoolUsage {
    const waiting = this.#slots.filter(({ warm, taken }) => warm && !taken)
    const ready = waiting.filter(({ warm }) => warm?.channel.isConnected).length
    return {
      pool: this.#settings.name,
      executorClass: this.#settings.executorClass,
      places: this.#settings.count,
      taken: this.#slots.filter(({ taken }) => taken).length,
      leaving: this.#slots.filter(({ taken, leaving }) => !taken && leaving).length,
      warm: { ready, starting: waiting.length - ready },
      draining: this.#draining,
    }
  }

  /** Takes no more jobs; resolves when no warm executor is left. */
  async close(): Promise<void> {
    this.drain()
    const { clock, log } = this.#deps
    await withDeadline(Promise.all(this.#dropping), CLOSE_MS, 'ending warm executors', clock).catch(err =>
      log.error({ err, pool: this.#settings.name }, 'warm executors could not be ended'),
    )
  }

  #addSlots(): void {
    for (let index = 0; index < this.#settings.count; index += 1) {
      if (!this.#slots.some(slot => slot.index === index))
        this.#slots.push({ index, taken: false, warm: undefined, leaving: undefined })
    }
  }

  #isOpen({ index }: Slot): boolean {
    return index < this.#settings.count
  }

  #forgetClosed(): void {
    this.#slots = this.#slots.filter(slot => slot.taken || slot.leaving || this.#isOpen(slot))
  }

  #gpusOf({ index }: Slot): string[] {
    const { manager, engine, gpus } = this.#settings
    return (gpus[index] ?? []).map(gpu => `${manager} ${JSON.stringify(engine)} ${gpu}`)
  }

  #hasFreeGpus(slot: Slot): boolean {
    return this.#deps.gpuUse.areFree(this.#gpusOf(slot))
  }

  #take(slot: Slot): Reservation {
    const settings = this.#settings
    const { manager, canFindOrphans, minerAddress, gpuUse } = this.#deps
    const gpus = this.#gpusOf(slot)
    const before = [...(slot.leaving ? [slot.leaving] : []), ...gpuUse.leavingFrom(gpus)]
    // An executor that starts now cleans up after the previous one. A warm one has done so long ago: it cannot be used
    // while the previous one still leaves.
    const isReady = slot.warm !== undefined && before.length === 0 && rank(slot) <= STARTING
    const warm = isReady ? slot.warm : undefined
    if (!warm) this.#drop(slot)
    slot.taken = true
    slot.warm = undefined
    gpuUse.take(gpus)
    const { executorClass } = settings
    const giveBack = once((leaving?: LeavingExecutor) => {
      gpuUse.release(gpus, leaving)
      slot.taken = false
      if (leaving) this.#awaitLeaving(slot, leaving)
      this.#forgetClosed()
    })
    return {
      executorClass,
      pool: settings.name,
      place: `${settings.name}/${slot.index}`,
      speaks: dialectOf(settings.program),
      warm,
      canFindOrphans,
      // A warm executor runs already.
      whyNot: async () => (warm ? undefined : await this.#whyNot()),
      start: token =>
        manager.start({ token, minerAddress, executorClass, environment: environmentOf(settings, slot.index, false) }),
      vacated: async () => {
        for (const leaving of before) leaving.hurry()
        await Promise.all(before.map(({ gone }) => gone))
      },
      leave: () => {
        const leaving = new LeavingExecutor()
        giveBack(leaving)
        return leaving
      },
      release: () => giveBack(),
    }
  }

  #awaitLeaving(slot: Slot, leaving: LeavingExecutor): void {
    slot.leaving = leaving
    void leaving.gone.then(() => {
      if (slot.leaving === leaving) slot.leaving = undefined
      this.#forgetClosed()
    })
  }

  /** A manager may be the operator's own: one that fails or hangs here cannot tell, and must not block the slot. */
  async #whyNot(): Promise<Reason | undefined> {
    const { manager, clock, log } = this.#deps
    const answer = async () => manager.whyNot?.()
    return withDeadline(answer(), WHY_NOT_MS, 'asking a manager whether it could start an executor', clock).catch(
      err => {
        log.warn({ err, pool: this.#settings.name }, 'manager cannot tell whether it could start an executor')
        return undefined
      },
    )
  }

  #warm(slot: Slot): void {
    const { manager, minerAddress, channels, clock } = this.#deps
    const environment = environmentOf(this.#settings, slot.index, true)
    const order = { minerAddress, executorClass: this.#settings.executorClass, environment }
    slot.warm = new WarmExecutor(manager, order, { channels, since: clock.monotonic() })
  }

  /** Drops a warm executor that will be of no use to a job. */
  #inspect(slot: Slot, warm: WarmExecutor): void {
    const { clock, log, startWithinMs, graceMs } = this.#deps
    const now = clock.monotonic()
    const { isConnected, lostAt } = warm.channel
    if (isConnected) this.#rests = backoff(REST)
    const isLate = !isConnected && lostAt === undefined && now - warm.since > startWithinMs
    const isLost = lostAt !== undefined && now - lostAt > graceMs
    if (!warm.error && !warm.hasExited && !isLate && !isLost) return
    const restMs = this.#rests.next().value
    this.#restUntil = now + restMs
    const why = warm.error ? 'not started' : warm.hasExited ? 'exited' : isLate ? 'did not connect' : 'connection lost'
    log.warn({ err: warm.error, pool: this.#settings.name, why, restMs }, 'warm executor failed')
    this.#drop(slot)
  }

  #drop(slot: Slot): void {
    const { warm } = slot
    slot.warm = undefined
    if (!warm) return
    const dropped: Promise<void> = warm
      .discard()
      .catch(err => this.#deps.log.error({ err, pool: this.#settings.name }, 'executor could not be stopped'))
      .finally(() => this.#dropping.delete(dropped))
    this.#dropping.add(dropped)
  }
}

const READY = 0
const STARTING = 1
const EMPTY = 2
const USELESS = 3
const LEAVING = 4

/** Orders slots by how soon a job would be ready there: the lower, the sooner. */
function rank({ warm, leaving }: Slot): number {
  if (leaving) return LEAVING
  if (!warm) return EMPTY
  if (warm.error || warm.hasExited || warm.channel.lostAt !== undefined) return USELESS
  return warm.channel.isConnected ? READY : STARTING
}

function once<T>(work: (value?: T) => void): (value?: T) => void {
  let isDone = false
  return value => {
    if (!isDone) work(value)
    isDone = true
  }
}
