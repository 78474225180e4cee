/** The host's monotonic clock, which goes on while processes come and go. */
import { readFileSync, readlinkSync } from 'node:fs'
import type { Clock } from '@horde/kit/time'
import type { HostMoment } from '../db/schema.ts'

/** Another one each time that the machine is booted. */
const BOOT_ID = '/proc/sys/kernel/random/boot_id'
/** Containers may have a monotonic clock of their own: then this names another namespace. */
const TIME_NAMESPACE = '/proc/self/ns/time'
/** What no process takes for a moment. */
export const NO_MOMENT: HostMoment = { boot: '', ms: 0 }

export interface HostClock {
  /** A moment of this process's monotonic clock, in ms, as any other process of this boot understands it. */
  said(ms: number): HostMoment
  /** The same the other way round; undefined for a moment of another boot, and for one that is still to come. */
  heard(moment: HostMoment | null): number | undefined
}

/** Undefined where the system does not say since when it is up, as outside Linux. The clock must be the system's. */
export function hostClockOf(clock: Clock): HostClock | undefined {
  const boot = bootOf()
  if (boot === undefined) return undefined
  const aheadMs = Number(process.hrtime.bigint()) / 1e6 - clock.monotonic()
  return {
    said: ms => ({ boot, ms: ms + aheadMs }),
    heard: moment => {
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
