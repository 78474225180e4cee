/** The miner's horde: its pools of executors, by hardware class. Reserving takes no time. */
import type { Log } from '@horde/kit/log'
import { startLoop } from '@horde/kit/loop'
import type { Clock } from '@horde/kit/time'
import { CLASSES } from '@horde/protocol/classes'
import { REASONS, type Reason } from '@horde/protocol/reasons'
import type { ExecutorLines } from '../jobs/executor-line.ts'
import type { ExecutorManager, StartedExecutor } from './manager.ts'
import { GpuUse, LeavingExecutor } from './pools/leaving-executor.ts'
import { ExecutorPool, type PoolUsage, type Reservation } from './pools/pool.ts'
import { areAlike, type PoolSettings } from './pools/pool-settings.ts'

/** How often executors that wait for jobs are looked after, in milliseconds. */
const KEEP_WARM_MS = 1_000

export type HordeDeps = {
  /** Opens what starts the executors of a pool. */
  openManager(pool: PoolSettings): Promise<ExecutorManager>
  /** The host that a pool's executors dial. */
  hostFor(pool: PoolSettings): Promise<string>
  lines: ExecutorLines
  /** How long an executor may take to connect, beyond its class's spin-up time, in milliseconds. */
  startMs: number
  /** How long one whose connection was lost may take to come back, in milliseconds. */
  graceMs: number
  clock: Clock
  log: Log
}

/** What a pool has, and why it takes no job; null: it does. */
export type ShownPool = PoolUsage & { closedBy: Reason | null }

type OpenPool = { settings: PoolSettings; manager: ExecutorManager; host: string }

/** What watches the pools. */
export type PoolWatch = {
  /** Why a pool takes no job, by its name; undefined: it does. */
  closedBy(pool: string): Reason | undefined
  /** Whether a pool is surely not what its class says, whatever else closes it. */
  isMismatched(pool: string): boolean
  /** Has all pools looked at. */
  lookNow(): void
}

export class Horde implements AsyncDisposable {
  readonly #deps: HordeDeps
  readonly #opened: OpenPool[]
  readonly #managers: Set<ExecutorManager>
  /** Those that could tell which executors an earlier run had left. */
  readonly #seeing = new Set<ExecutorManager>()
  readonly #gpuUse = new GpuUse()
  readonly #over = new AbortController()
  #pools: ExecutorPool[] = []
  #executorPort = 0
  #keeping: AsyncDisposable | undefined
  #isClosed = false
  #watch: PoolWatch = { closedBy: () => undefined, isMismatched: () => false, lookNow: () => {} }
  /** What the log said last of the pools that take no job. */
  readonly #loggedClosures = new Map<string, Reason>()

  private constructor(opened: OpenPool[], deps: HordeDeps) {
    this.#opened = opened
    this.#managers = new Set(opened.map(({ manager }) => manager))
    this.#deps = deps
  }

  /** Opens the managers of all pools. Rejects when one of them can't be opened, or nobody knows where its executors should dial. */
  static async open(pools: readonly PoolSettings[], deps: HordeDeps): Promise<Horde> {
    return new Horde(await Promise.all(pools.map(pool => openPool(pool, deps))), deps)
  }

  /** The hosts that executors dial. */
  get hosts(): string[] {
    return [...new Set(this.#opened.map(({ host }) => host))]
  }

  /**
   * Executors of an earlier run of this miner: those with one of the tokens are given, all others are ended. A manager that
   * can not look now, as its engine is away, is no reason not to start: its executors may still come back by themselves.
   */
  async takeOver(tokens: ReadonlySet<string>): Promise<Map<string, StartedExecutor>> {
    const found = await Promise.all([...this.#managers].map(manager => this.#takeOverFrom(manager, tokens)))
    return new Map(found.flatMap(each => [...each]))
  }

  async #takeOverFrom(manager: ExecutorManager, tokens: ReadonlySet<string>): Promise<Map<string, StartedExecutor>> {
    if (manager.takeOver === undefined) return new Map()
    try {
      const found = await manager.takeOver(tokens)
      this.#seeing.add(manager)
      return found
    } catch (err) {
      this.#deps.log.error({ err }, 'executors of an earlier run could not be looked for')
      return new Map()
    }
  }

  /** From now on there are places to reserve, and executors dial this port. */
  begin(executorPort: number): void {
    this.#executorPort = executorPort
    this.#pools = this.#opened.map(pool => this.#newPool(pool))
  }

  /** From now on executors are started ahead. */
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

  /** From now on pools for which there is a reason take no job. Jobs that run go on. */
  heed(watch: PoolWatch): void {
    this.#watch = watch
  }

  /** Has the pools looked at: one of them was found to be unable to start an executor. */
  lookAgain(): void {
    this.#watch.lookNow()
  }

  /**
   * A place for one executor, or why there is none: the answer is immediate.
   *
   * @param without pools that were found to be unable a moment ago
   */
  reserve(executorClass: string, without: ReadonlySet<string> = new Set()): Reservation | Reason {
    if (this.#isClosed) return 'no-free-executor'
    const ofClass = this.#pools.filter(({ settings }) => settings.executorClass === executorClass)
    const pools = ofClass.filter(({ settings: { name } }) => !without.has(name) && !this.#watch.closedBy(name))
    if (pools.length === 0) return this.closedBy(executorClass) ?? 'no-free-executor'
    for (const pool of pools.sort((a, b) => soonness(b) - soonness(a))) {
      const reservation = pool.reserve()
      if (reservation) return reservation
    }
    return 'no-free-executor'
  }

  /** Why a class has no pool that takes jobs: the reason of one of them; undefined where one does, or it has none. */
  closedBy(executorClass: string): Reason | undefined {
    const open = this.#pools.filter(pool => pool.settings.executorClass === executorClass && !pool.usage().draining)
    const reasons = open.map(({ settings: { name } }) => this.#watch.closedBy(name))
    return reasons.includes(undefined) ? undefined : reasons[0]
  }

  /** Tells the log when a pool begins to take no jobs, or takes them again. Gives why it takes none now. */
  #noteClosure({ settings: { name: pool } }: ExecutorPool): Reason | undefined {
    const reason = this.#watch.closedBy(pool)
    if (reason === this.#loggedClosures.get(pool)) return reason
    if (reason) this.#loggedClosures.set(pool, reason)
    else this.#loggedClosures.delete(pool)
    const { log } = this.#deps
    if (reason) log.warn({ pool, reason, why: REASONS[reason] }, 'pool takes no jobs until this is mended')
    else log.info({ pool }, 'pool takes jobs again')
    return reason
  }

  /** The place of a job of an earlier run; one outside of all pools where it is not there any more. */
  occupy(place: string | null, executorClass: string): Reservation {
    const [, name, index] = /^(.*)\/(\d+)$/.exec(place ?? '') ?? []
    const pool = this.#pools.find(({ settings }) => settings.name === name && settings.executorClass === executorClass)
    return pool?.occupy(Number(index)) ?? outside(executorClass, place)
  }

  /** From now on every reservation is refused. */
  close(): void {
    this.#isClosed = true
  }

  /**
   * Other pools. Those of the same name and kind are changed; the others take no more jobs and go when their last one has
   * ended. Rejects, and changes nothing, when a new one's manager can't be opened.
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

  /** What the manifest says: the executors that there are, taken or not, but for pools that are not what their class says. */
  manifest(): { executor_class: string; count: number }[] {
    const counts = new Map<string, number>()
    for (const { pool, executorClass, places, draining } of this.usage()) {
      if (!draining && !this.#watch.isMismatched(pool))
        counts.set(executorClass, (counts.get(executorClass) ?? 0) + places)
    }
    return [...counts].map(([executor_class, count]) => ({ executor_class, count }))
  }

  usage(): ShownPool[] {
    const used = this.#pools
      .map(pool => pool.usage())
      .filter(({ draining, taken, leaving }) => !draining || taken + leaving > 0)
    return used.map(usage => ({ ...usage, closedBy: this.#watch.closedBy(usage.pool) ?? null }))
  }

  /** The pools that take jobs: for what concerns the hosts where executors run. */
  pools(): { settings: PoolSettings; manager: ExecutorManager }[] {
    return this.#pools.filter(pool => !pool.usage().draining).map(({ settings, manager }) => ({ settings, manager }))
  }

  /** Ends the executors that wait, and closes the managers. Jobs must have ended. */
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
    const { lines, startMs, graceMs, clock, log } = this.#deps
    const startWithinMs = startMs + CLASSES[settings.executorClass].spinUpSeconds * 1000
    const minerAddress = `ws://${host.includes(':') ? `[${host}]` : host}:${this.#executorPort}`
    return new ExecutorPool(settings, {
      manager,
      findsLeftovers: this.#seeing.has(manager),
      minerAddress,
      lines,
      gpuUse: this.#gpuUse,
      startWithinMs,
      graceMs,
      clock,
      log,
    })
  }
}

/** A pool that has an executor waiting comes before one that must start it, and that before one that must wait for a place. */
function soonness(pool: ExecutorPool): number {
  const { places, taken, leaving, warm } = pool.usage()
  if (warm.ready > 0) return 1 + warm.ready
  return places - taken - leaving > 0 ? 1 : 0
}

async function openPool(settings: PoolSettings, { openManager, hostFor }: HordeDeps): Promise<OpenPool> {
  const host = await hostFor(settings)
  return { settings, manager: await openManager(settings), host }
}

/** A place that is in no pool: its job can go on, but no other can begin there. */
function outside(executorClass: string, place: string | null): Reservation {
  return {
    executorClass,
    pool: '',
    place: place ?? '',
    warm: undefined,
    findsLeftovers: false,
    whyNot: async () => undefined,
    vacated: async () => {},
    start: () => Promise.reject(new Error('the place of this job is in no pool any more')),
    leave: () => new LeavingExecutor(),
    release: () => {},
  }
}
