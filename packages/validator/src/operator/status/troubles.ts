import { printable } from '@horde/kit/untrusted-text'
import type { StatusSources } from '../sources.ts'
import type { ShownHistory } from './shown-history.ts'

/** How many are shown. */
const MAX_TROUBLES = 20

/** Something that went wrong lately. */
export type Trouble = { at: string; where: string; what: string }

/** The latest first: loops whose last run failed, settings of weights that were refused, users' jobs that broke. */
export function lastTroubles({ loops }: Pick<StatusSources, 'loops'>, history: ShownHistory | null): Trouble[] {
  const failed = loops().flatMap(({ name, state }) => {
    const { error, endedAt = 0 } = state()
    if (error === undefined) return []
    return [{ at: new Date(endedAt).toISOString(), where: name, what: printable(messageOf(error)) }]
  })
  const refused = (history?.settings ?? [])
    .filter(({ state }) => state === 'refused')
    .map(each => ({ at: each.endedAt ?? each.plannedAt, where: 'weights', what: each.refusal ?? 'refused' }))
  const broken = (history?.organicJobs ?? [])
    .filter(({ state }) => state === 'broken')
    .map(each => ({ at: each.createdAt, where: `job ${each.uuid}`, what: each.why ?? 'broken' }))
  return [...failed, ...refused, ...broken].sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, MAX_TROUBLES)
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  // A failed query's parameters follow on a line of their own: they are what strangers sent.
  return text.split('\n')[0] ?? ''
}
