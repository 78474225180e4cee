/** Remembers which dialect each miner speaks, so that a known one is addressed in it at once. In memory only. */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { DIALECTS, type Dialect } from '@horde/protocol/handshake/dialects'
import type { MinerToDial } from '../job-channel.ts'

/** How many miners are remembered: more than a subnet has. The one that was seen the longest ago is dropped. */
const MAX_MINERS = 4_096

export interface KnownDialectsOptions {
  /** How long an answer counts, in ms. */
  keptMs: number
  clock: Clock
  log: Log
}

interface Known {
  address: string
  dialect: Dialect
  /** In ms of the monotonic clock. */
  until: number
}

/** How a miner stands that this process has talked to, for the status page. */
export type MinerDialect = { hotkey: string; address: string; dialect: Dialect }

export class KnownDialects {
  readonly #options: KnownDialectsOptions
  /** By hotkey, the one seen the longest ago first. */
  readonly #known = new Map<string, Known>()

  constructor(options: KnownDialectsOptions) {
    this.#options = options
  }

  /** Returns what the miner spoke last; undefined for one that is unknown, has moved, or was not seen for long. */
  of({ hotkey, address }: MinerToDial): Dialect | undefined {
    const known = this.#known.get(hotkey)
    if (known === undefined || known.address !== address) return undefined
    return this.#options.clock.monotonic() < known.until ? known.dialect : undefined
  }

  remember({ hotkey, address }: MinerToDial, dialect: Dialect): void {
    const { keptMs, clock, log } = this.#options
    if (this.of({ hotkey, address }) !== dialect) log.info({ miner: hotkey, dialect }, 'miner speaks this dialect')
    this.#known.delete(hotkey)
    this.#known.set(hotkey, { address, dialect, until: clock.monotonic() + keptMs })
    const [oldest = ''] = this.#known.keys()
    if (this.#known.size > MAX_MINERS) this.#known.delete(oldest)
  }

  /** Call it after a failure: the miner may be another release by the next connection. */
  forget({ hotkey, address }: MinerToDial): void {
    if (this.#known.get(hotkey)?.address === address) this.#known.delete(hotkey)
  }

  /** Returns all that count, the one seen last first. */
  list(): MinerDialect[] {
    const now = this.#options.clock.monotonic()
    const current = [...this.#known].filter(([, { until }]) => now < until).toReversed()
    return current.map(([hotkey, { address, dialect }]) => ({ hotkey, address, dialect }))
  }

  /** Returns how many miners speak each dialect. */
  counts(): Record<Dialect, number> {
    const all = this.list()
    const countOf = (dialect: Dialect) => all.filter(miner => miner.dialect === dialect).length
    return Object.fromEntries(DIALECTS.map(dialect => [dialect, countOf(dialect)])) as Record<Dialect, number>
  }
}
