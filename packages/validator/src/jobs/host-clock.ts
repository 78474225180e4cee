/** The host's monotonic clock, which continues when a process is restarted. */
import { readFileSync, readlinkSync } from 'node:fs'
import type { Clock } from '@horde/kit/time'
import type { HostMoment } from '../db/json-columns.ts'

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

/** Returns undefined where the system does not tell its boot, as outside Linux. The clock must be the system's. */
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
