/** Measures how long work takes, by the host's monotonic clock, which continues when a process is restarted. */
import { readFileSync, readlinkSync } from 'node:fs'
import type { Clock } from '@horde/kit/time'
import type { HostMoment } from '../../db/json-columns.ts'
import type { ResumedJob } from '../job-spec.ts'

/** Measures the time from the work's sending to the result, also when this validator was restarted in between. */
export class WorkTimer {
  /** When the kernel first had the work, in ms of the monotonic clock. */
  #startedAt: number | undefined
  /**
   * An earlier process may have sent the work, and either the moment is not known or the result may have come
   * meanwhile.
   */
  #isUnknown: boolean
  /** When an earlier process sent the work: counts once the miner has reported that the job still runs. */
  #startedBefore: number | undefined
  /** A result that arrives before this moment may have been sent while no process listened. */
  #liveFrom: number | undefined

  constructor(resumed: ResumedJob | undefined) {
    this.#isUnknown = resumed?.state === 'ready' || resumed?.state === 'running'
    this.#startedBefore = resumed?.state === 'running' ? resumed.workSentAt : undefined
  }

  get isStarted(): boolean {
    return this.#startedAt !== undefined
  }

  /** Whether the work was sent, by this process or perhaps by an earlier one. */
  get mayHaveBeenSent(): boolean {
    return this.isStarted || this.#isUnknown
  }

  /** When the work was sent, in ms of the monotonic clock; undefined when that is not known. */
  get sentAt(): number | undefined {
    return this.#isUnknown ? undefined : this.#startedAt
  }

  /** Starts, unless it has started before: a miner that asks for the work again does not restart the clock. */
  start(at: number): boolean {
    if (this.isStarted) return false
    this.#startedAt = at
    return true
  }

  /**
   * Goes on from the moment that an earlier process saved, because the miner has accepted the job again.
   *
   * @param liveFrom from when on a result shows that the job still ran when this process began to listen
   */
  resume(liveFrom: number): void {
    if (this.#startedBefore === undefined) return
    this.#liveFrom ??= liveFrom
    this.#startedAt = this.#startedBefore
    this.#isUnknown = false
  }

  /** The time can no longer be measured. */
  markUnknown(): void {
    this.#startedBefore = undefined
    this.#isUnknown = true
  }

  /** From the sending to a moment, in seconds; undefined when that is not known. */
  secondsUntil(at: number): number | undefined {
    const isLive = this.#liveFrom === undefined || at >= this.#liveFrom
    return this.sentAt === undefined || !isLive ? undefined : (at - this.sentAt) / 1000
  }
}

/** Changes with every boot of the machine. */
const BOOT_ID = '/proc/sys/kernel/random/boot_id'
/** Names the time namespace: a container may have a monotonic clock of its own. */
const TIME_NAMESPACE = '/proc/self/ns/time'
/** A moment that no process can read. */
export const NO_MOMENT: HostMoment = { boot: '', ms: 0 }

export interface HostClock {
  /** Converts a moment of this process's monotonic clock, in ms, to one that any process of this boot can read. */
  toHost(ms: number): HostMoment
  /** Converts back; undefined for a moment of another boot, and for one in the future. */
  fromHost(moment: HostMoment | null): number | undefined
}

/** Returns undefined when the system does not identify its boot, as outside Linux. The clock must be the system's. */
export function hostClockOf(clock: Clock): HostClock | undefined {
  const boot = bootOf()
  if (boot === undefined) return undefined
  const aheadMs = Number(process.hrtime.bigint()) / 1e6 - clock.monotonic()
  return {
    toHost: ms => ({ boot, ms: ms + aheadMs }),
    fromHost: moment => {
      const ms = moment?.boot === boot ? moment.ms - aheadMs : Number.POSITIVE_INFINITY
      return ms <= clock.monotonic() ? ms : undefined
    },
  }
}

function bootOf(): string | undefined {
  try {
    return `${readFileSync(BOOT_ID, 'utf8').trim()} ${readlinkSync(TIME_NAMESPACE)}`
  } catch {
    return undefined
  }
}
