/** Formats what a soak prints at its end. */
import { FIGURES, type Figures } from './figures.ts'
import type { Part, TrialResult } from './parts.ts'

/** How many wrong jobs are described in full. */
const MAX_SHOWN = 20

export function report(
  results: ReadonlyMap<Part, readonly TrialResult[]>,
  before: Figures,
  after: Figures,
  grown: readonly string[],
): string {
  const wrong = [...results.values()].flat().filter(({ complaints }) => complaints.length > 0)
  return [
    jobsTable(results),
    figuresTable(before, after, grown),
    ...wrong.slice(0, MAX_SHOWN).map(({ trial, complaints }) => `wrong: ${trial.name}\n  ${complaints.join('\n  ')}`),
    ...(wrong.length > MAX_SHOWN ? [`wrong: ${wrong.length - MAX_SHOWN} more`] : []),
  ].join('\n\n')
}

function jobsTable(results: ReadonlyMap<Part, readonly TrialResult[]>): string {
  const rows = [...results].map(([part, jobs]) => {
    const seconds = jobs.map(job => job.seconds).sort((a, b) => a - b)
    const [median, longest] = [seconds[Math.floor(seconds.length / 2)], seconds.at(-1)].map(value =>
      (value ?? 0).toFixed(2),
    )
    return [part.name, String(jobs.length), median ?? '', longest ?? '', outcomes(jobs)]
  })
  return aligned([['', 'jobs', 'median s', 'longest s', 'outcomes'], ...rows])
}

/** Returns how many jobs ended in each expected way, and how many were wrong. */
function outcomes(jobs: readonly TrialResult[]): string {
  const counts = new Map<string, number>()
  for (const { trial, complaints } of jobs) {
    const kind = complaints.length > 0 ? 'WRONG' : kindOf(trial.expected)
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ')
}

function kindOf({ type, exitStatus, timedOut }: TrialResult['trial']['expected']): string {
  if (type === 'V0FinishedRequest') return 'finished'
  if (timedOut) return 'timed out'
  return exitStatus === null ? 'killed or refused' : 'failed'
}

function figuresTable(before: Figures, after: Figures, grown: readonly string[]): string {
  const rows = (Object.keys(FIGURES) as (keyof typeof FIGURES)[]).map(name => {
    const [earlier, later] = [before[name], after[name]]
    if (earlier === undefined || later === undefined) return [name, '-', '-', 'not readable', '']
    return [name, String(earlier), String(later), String(later - earlier), grown.includes(name) ? 'LEAKED' : '']
  })
  return aligned([['', 'before', 'after', 'growth', ''], ...rows])
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map(row => row[at]?.length ?? 0)))
  const cell = (text: string, at: number) => {
    if (at === 0) return text.padEnd(widths[0] ?? 0)
    return at === widths.length - 1 ? text : text.padStart(widths[at] ?? 0)
  }
  return rows.map(row => row.map(cell).join('  ').trimEnd()).join('\n')
}
