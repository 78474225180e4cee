/** Numbers that are read whenever somebody asks for the metrics. */
import { Gauge, type Registry } from 'prom-client'
import type { Verdict } from '../watch/finding.ts'
import type { Watched } from '../watch/watches.ts'
import type { Metrics } from './definitions.ts'

export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

/** A gauge that there is nothing to say of gives no sample. One that asks somebody must answer soon, and not reject. */
export type ReadGauge = () => Sample[] | Promise<Sample[]>

export function addGauges(registry: Registry, metrics: Metrics, reads: Readonly<Record<string, ReadGauge>>): void {
  for (const [name, read] of Object.entries(reads)) {
    const { help = '', labels: labelNames = [] } = metrics[name] ?? {}
    new Gauge<string>({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const samples = await read()
        this.reset()
        // Without labels, reset leaves a 0 behind, which would be a lie where there is nothing to say.
        if (labelNames.length === 0) this.remove()
        for (const [labels, value] of samples) this.set({ ...labels }, value)
      },
    })
  }
}

/** The sample of a gauge without labels. */
export function one(value: number | undefined, per = 1): Sample[] {
  return value === undefined ? [] : [[{}, value / per]]
}

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
