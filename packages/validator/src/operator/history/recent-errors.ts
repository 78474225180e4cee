import { printable } from '@horde/kit/untrusted-text'
import type { LoopStatus } from '../status.ts'
import type { HistoryJson } from './history-view.ts'

/** The largest number of errors that is listed. */
const MAX_ERRORS = 20

export type RecentError = { at: string; where: string; what: string }

/** Lists loops whose last run failed, refused settings of weights, and users' jobs that broke; the latest first. */
export function recentErrors(loops: readonly LoopStatus[], history: HistoryJson | null): RecentError[] {
  const failed = loops.flatMap(({ name, state: { error, endedAt = 0 } }) => {
    if (error === undefined) return []
    return [{ at: new Date(endedAt).toISOString(), where: name, what: printable(messageOf(error)) }]
  })
  const refused = (history?.settings ?? [])
    .filter(({ state }) => state === 'refused')
    .map(each => ({ at: each.endedAt ?? each.plannedAt, where: 'weights', what: each.refusal ?? 'refused' }))
  const broken = (history?.organicJobs ?? [])
    .filter(({ state }) => state === 'broken')
    .map(each => ({ at: each.createdAt, where: `job ${each.uuid}`, what: each.why ?? 'broken' }))
  return [...failed, ...refused, ...broken].sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, MAX_ERRORS)
}

/** Returns an error's first line: the following lines of a failed query hold its parameters, which peers chose. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n')[0] ?? ''
}
