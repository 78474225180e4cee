/** Gauges about what the watches found. */
import type { Verdict } from '@horde/kit/check/finding'
import type { Sample } from '@horde/kit/metrics/gauges'
import type { Watched } from '../watch/watches.ts'

const NUMBERS: Readonly<Record<Verdict, number>> = { ok: 0, warn: 1, bad: 2 }

/** What each watch found last: 0 ok, 1 a warning, 2 bad. */
export function verdicts(watches: readonly Watched[]): Sample[] {
  return watches.map(({ watch, verdict }) => [{ watch }, NUMBERS[verdict]])
}

/** How long ago each watch looked, in seconds. @param nowMs since the epoch, in milliseconds */
export function watchAges(watches: readonly Watched[], nowMs: number): Sample[] {
  return watches.flatMap(({ watch, lookedAtMs }): Sample[] => {
    return lookedAtMs === null ? [] : [[{ watch }, (nowMs - lookedAtMs) / 1_000]]
  })
}

/** The numbers behind the findings of one watch. */
export function measured(watches: readonly Watched[], name: string): Sample[] {
  const findings = watches.find(({ watch }) => watch === name)?.findings ?? []
  return findings.flatMap(({ measured, of }): Sample[] =>
    measured === undefined ? [] : [[of ? { of } : {}, measured]],
  )
}
