/** What a soak prints at its end. */
import { FIGURES, type Figures } from './figures.ts'
import type { Part, Ran } from './parts.ts'

/** How many wrong jobs are told of in full. */
const MAX_TOLD = 20

export function report(
  ran: ReadonlyMap<Part, readonly Ran[]>,
  before: Figures,
  after: Figures,
  grown: readonly string[],
): string {
  const wrong = [...ran.values()].flat().filter(({ complaints }) => complaints.length > 0)
  return [
    jobsTable(ran),
    figuresTable(before, after, grown),
    ...wrong.slice(0, MAX_TOLD).map(({ trial, complaints }) => `wrong: ${trial.name}\n  ${complaints.join('\n  ')}`),
    ...(wrong.length > MAX_TOLD ? [`wrong: ${wrong.length - MAX_TOLD} more`] : []),
  ].join('\n\n')
}

function jobsTable(ran: ReadonlyMap<Part, readonly Ran[]>): string {
  const rows = [...ran].map(([part, jobs]) => {
    const seconds = jobs.map(job => job.seconds).sort((a, b) => a - b)
    const [median, worst] = [seconds[Math.floor(seconds.length / 2)], seconds.at(-1)].map(value =>
      (value ?? 0).toFixed(2),
    )
    return [part.name, String(jobs.length), median ?? '', worst ?? '', outcomes(jobs)]
  })
  return aligned([['', 'jobs', 'median s', 'worst s', 'outcomes'], ...rows])
}

/** How many ended in which way, as they must; and how many did not. */
function outcomes(jobs: readonly Ran[]): string {
  const counts = new Map<string, number>()
  for (const { trial, complaints } of jobs) {
    const kind = complaints.length > 0 ? 'WRONG' : kindOf(trial.expected)
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ')
}

function kindOf({ type, exitStatus, timedOut }: Ran['trial']['expected']): string {
  if (type === 'V0FinishedRequest') return 'finished'
  if (timedOut) return 'timed out'
  return exitStatus === null ? 'killed or refused' : 'failed'
}

function figuresTable(before: Figures, after: Figures, grown: readonly string[]): string {
  const rows = (Object.keys(FIGURES) as (keyof typeof FIGURES)[]).map(name => {
    const [was, is] = [before[name], after[name]]
    if (was === undefined || is === undefined) return [name, '-', '-', 'not to be read', '']
    return [name, String(was), String(is), String(is - was), grown.includes(name) ? 'LEAKED' : '']
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
