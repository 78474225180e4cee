/** The miner's horde: its pools of executors, by hardware class. Reserving a slot never waits. */
import type { Log } from '@horde/kit/log'
import { startLoop } from '@horde/kit/loop'
import type { Clock } from '@horde/kit/time'
import { CLASSES } from '@horde/protocol/classes'
import { REASONS, type Reason } from '@horde/protocol/reasons'
import type { ExecutorChannels } from '../executors/executor-channel.ts'
import type { ExecutorManager, StartedExecutor } from './manager.ts'
import { ExecutorPool, type PoolUsage } from './pools/pool.ts'
import { areAlike, type PoolSettings } from './pools/pool-settings.ts'
import { GpuUse, type Reservation, slotOutsidePools } from './pools/reservation.ts'

/** How often the pools inspect and start warm executors, in milliseconds. */
const KEEP_WARM_MS = 1_000

export type HordeDeps = {
  /** Opens the manager that starts the executors of a pool. */
  openManager(pool: PoolSettings): Promise<ExecutorManager>
  /** The host that a pool's executors dial. */
  hostFor(pool: PoolSettings): Promise<string>
  channels: ExecutorChannels
  /** How long an executor may take to connect, beyond its class's spin-up time, in milliseconds. */
  startMs: number
  /** How long an executor may take to come back after its connection was lost, in milliseconds. */
  graceMs: number
  clock: Clock
  log: Log
}

/** A pool's usage, and why it takes no job; null when it takes jobs. */
export type PoolStatus = PoolUsage & { closedBy: Reason | null }

type OpenPool = { settings: PoolSettings; manager: ExecutorManager; host: string }

/** The watches that can close a pool. */
export type PoolWatch = {
  /** Why a pool takes no job, by its name; undefined when it takes jobs. */
  closedBy(pool: string): Reason | undefined
  /** Whether a pool's hardware is surely not that of its class, whatever else closes it. */
  isMismatched(pool: string): boolean
  /** Looks at all pools now. */
  lookNow(): void
}

export class Horde implements AsyncDisposable {
  readonly #deps: HordeDeps
  readonly #opened: OpenPool[]
  readonly #managers: Set<ExecutorManager>
  /** The managers that could list the executors of an earlier run. */
  readonly #listing = new Set<ExecutorManager>()
  readonly #gpuUse = new GpuUse()
  readonly #over = new AbortController()
  #pools: ExecutorPool[] = []
  #executorPort = 0
  #keeping: AsyncDisposable | undefined
  #isClosed = false
  #watch: PoolWatch = { closedBy: () => undefined, isMismatched: () => false, lookNow: () => {} }
  /** The closures that were logged last, by pool. */
  readonly #loggedClosures = new Map<string, Reason>()

  private constructor(opened: OpenPool[], deps: HordeDeps) {
    this.#opened = opened
    this.#managers = new Set(opened.map(({ manager }) => manager))
    this.#deps = deps
  }

  /**
   * Opens the managers of all pools. Rejects when one cannot be opened, or when no setting says where its executors
   * dial.
   */
  static async open(pools: readonly PoolSettings[], deps: HordeDeps): Promise<Horde> {
    return new Horde(await Promise.all(pools.map(pool => openPool(pool, deps))), deps)
  }

  /** The hosts that executors dial. */
  get hosts(): string[] {
    return [...new Set(this.#opened.map(({ host }) => host))]
  }

  /**
   * Finds the executors of an earlier run of this miner: it returns those with one of the tokens, and ends all others.
   * A manager that cannot look now, because its engine is away, does not stop the start: its executors may still come
   * back.
   */
  async takeOver(tokens: ReadonlySet<string>): Promise<Map<string, StartedExecutor>> {
    const found = await Promise.all([...this.#managers].map(manager => this.#takeOverFrom(manager, tokens)))
    return new Map(found.flatMap(each => [...each]))
  }

  async #takeOverFrom(manager: ExecutorManager, tokens: ReadonlySet<string>): Promise<Map<string, StartedExecutor>> {
    if (manager.takeOver === undefined) return new Map()
    try {
      const found = await manager.takeOver(tokens)
      this.#listing.add(manager)
      return found
    } catch (err) {
      this.#deps.log.error({ err }, 'executors of an earlier run could not be listed')
      return new Map()
    }
  }

  /** Opens the pools: from now on slots can be reserved, and executors dial this port. */
  begin(executorPort: number): void {
    this.#executorPort = executorPort
    this.#pools = this.#opened.map(pool => this.#newPool(pool))
  }

  /** From now on the pools keep warm executors. */
  keepWarm(): void {
    const run = async () => {
      for (const pool of this.#pools) if (!this.#noteClosure(pool)) pool.keepWarm()
    }
    const { clock, log } = this.#deps
    this.#keeping = startLoop({
      name: 'warm executors',
      everyMs: KEEP_WARM_MS,
      run,
      clock,
      log,
      signal: this.#over.signal,
    })
  }

  /** From now on the watches can close pools, which then take no job. Running jobs go on. */
  watchWith(watch: PoolWatch): void {
    this.#watch = watch
  }

  /** Makes the watches look at the pools: one of them was unable to start an executor. */
  lookAgain(): void {
    this.#watch.lookNow()
  }

  /**
   * Reserves a slot for one executor, or returns why there is none. Never waits.
   *
   * @param without pools that were unable to start an executor a moment ago
   */
  reserve(executorClass: string, without: ReadonlySet<string> = new Set()): Reservation | Reason {
    if (this.#isClosed) return 'no-free-executor'
    const ofClass = this.#pools.filter(({ settings }) => settings.executorClass === executorClass)
    const pools = ofClass.filter(({ settings: { name } }) => !without.has(name) && !this.#watch.closedBy(name))
    if (pools.length === 0) return this.closedBy(executorClass) ?? 'no-free-executor'
    for (const pool of pools.sort((a, b) => readiness(b) - readiness(a))) {
      const reservation = pool.reserve()
      if (reservation) return reservation
    }
    return 'no-free-executor'
  }

  /** Why no pool of a class takes jobs: the reason of one of them. Undefined when one takes jobs, or there is none. */
  closedBy(executorClass: string): Reason | undefined {
    const open = this.#pools.filter(pool => pool.settings.executorClass === executorClass && !pool.usage().draining)
    const reasons = open.map(({ settings: { name } }) => this.#watch.closedBy(name))
    return reasons.includes(undefined) ? undefined : reasons[0]
  }

  /** Logs when a pool closes and when it opens again. Returns why it is closed now. */
  #noteClosure({ settings: { name: pool } }: ExecutorPool): Reason | undefined {
    const reason = this.#watch.closedBy(pool)
    if (reason === this.#loggedClosures.get(pool)) return reason
    if (reason) this.#loggedClosures.set(pool, reason)
    else this.#loggedClosures.delete(pool)
    const { log } = this.#deps
    if (reason) log.warn({ pool, reason, why: REASONS[reason] }, 'pool takes no jobs until this is fixed')
    else log.info({ pool }, 'pool takes jobs again')
    return reason
  }

  /**
   * Takes the slot of a job of an earlier run; one outside of all pools when it does not exist any more.
   *
   * @param place the slot as it is stored with the job: `gpus/3`
   */
  occupy(place: string | null, executorClass: string): Reservation {
    const [, name, index] = /^(.*)\/(\d+)$/.exec(place ?? '') ?? []
    const pool = this.#pools.find(({ settings }) => settings.name === name && settings.executorClass === executorClass)
    return pool?.occupy(Number(index)) ?? slotOutsidePools(executorClass, place)
  }

  /** Refuses every reservation from now on. */
  close(): void {
    this.#isClosed = true
  }

  /**
   * Changes the pools. Those of the same name and kind get the new settings; the others take no more jobs and are
   * removed when their last one has ended. Rejects, and changes nothing, when the manager of a new pool cannot be
   * opened.
   */
  async reload(pools: readonly PoolSettings[]): Promise<void> {
    const kept = (settings: PoolSettings) => {
      return this.#pools.find(
        pool => pool.settings.name === settings.name && areAlike(pool.settings, settings) && !pool.usage().draining,
      )
    }
    const opened = await Promise.all(
      pools.filter(settings => !kept(settings)).map(settings => openPool(settings, this.#deps)),
    )
    const staying = new Set(pools.map(kept))
    for (const pool of this.#pools) if (!staying.has(pool)) pool.drain()
    for (const settings of pools) kept(settings)?.change(settings)
    for (const { manager } of opened) this.#managers.add(manager)
    const draining = this.#pools.filter(pool => pool.usage().draining && !pool.isIdle)
    this.#pools = [
      ...this.#pools.filter(pool => staying.has(pool)),
      ...opened.map(pool => this.#newPool(pool)),
      ...draining,
    ]
  }

  /** The manifest: all executors, taken or not, without those of pools whose hardware is not that of their class. */
  manifest(): { executor_class: string; count: number }[] {
    const counts = new Map<string, number>()
    for (const { pool, executorClass, places, draining } of this.usage()) {
      if (!draining && !this.#watch.isMismatched(pool))
        counts.set(executorClass, (counts.get(executorClass) ?? 0) + places)
    }
    return [...counts].map(([executor_class, count]) => ({ executor_class, count }))
  }

  usage(): PoolStatus[] {
    const used = this.#pools
      .map(pool => pool.usage())
      .filter(({ draining, taken, leaving }) => !draining || taken + leaving > 0)
    return used.map(usage => ({ ...usage, closedBy: this.#watch.closedBy(usage.pool) ?? null }))
  }

  /** The pools that take jobs, for watches and preloading on their hosts. */
  pools(): { settings: PoolSettings; manager: ExecutorManager }[] {
    return this.#pools.filter(pool => !pool.usage().draining).map(({ settings, manager }) => ({ settings, manager }))
  }

  /** Ends the warm executors and closes the managers. Jobs must have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
    this.#over.abort()
    await this.#keeping?.[Symbol.asyncDispose]()
    await Promise.all(this.#pools.map(pool => pool.close()))
    for (const manager of this.#managers) {
      await manager.close?.().catch(err => this.#deps.log.error({ err }, 'executor manager could not be closed'))
    }
  }

  #newPool({ settings, manager, host }: OpenPool): ExecutorPool {
    const { channels, startMs, graceMs, clock, log } = this.#deps
    const startWithinMs = startMs + CLASSES[settings.executorClass].spinUpSeconds * 1000
    const minerAddress = `ws://${host.includes(':') ? `[${host}]` : host}:${this.#executorPort}`
    return new ExecutorPool(settings, {
      manager,
      canFindOrphans: this.#listing.has(manager),
      minerAddress,
      channels,
      gpuUse: this.#gpuUse,
      startWithinMs,
      graceMs,
      clock,
      log,
    })
  }
}

/** Orders pools: first those with a warm executor, then those that must start one, then those without a free slot. */
function readiness(pool: ExecutorPool): number {
  const { places, taken, leaving, warm } = pool.usage()
  if (warm.ready > 0) return 1 + warm.ready
  return places - taken - leaving > 0 ? 1 : 0
}

async function openPool(settings: PoolSettings, { openManager, hostFor }: HordeDeps): Promise<OpenPool> {
  const host = await hostFor(settings)
  return { settings, manager: await openManager(settings), host }
}
