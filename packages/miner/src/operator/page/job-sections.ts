/** The page's sections about jobs. */
import { shortKey } from '@horde/operator/page/common-sections'
import { type Html, html } from '@horde/operator/page/html'
import { duration, table, time } from '@horde/operator/page/table'
import type { JobState } from '@horde/protocol/job-state'
import type { MinerStatusJson } from '../status-json.ts'

const UUID_SHOWN = 8
const HOTKEY_SHOWN = 10

const NOT_DELIVERED = html` <span class="warn">not delivered</span>`

export function jobsNow({ jobs }: MinerStatusJson): Html {
  const rows = jobs.now.map(job => [
    shortKey(job.uuid, UUID_SHOWN),
    html`${job.state}`,
    html`${duration(job.sinceSeconds)}`,
    html`${job.executorClass}`,
    html`${job.image ?? ''}`,
    shortKey(job.validator, HOTKEY_SHOWN),
  ])
  const more = jobs.open > jobs.now.length ? html`<small>the first ${jobs.now.length} of them</small>` : null
  const head = ['Job', 'State', '#For', 'Class', '~Image', 'Validator']
  return html`<section><h2>Jobs now<small>${jobs.open}</small>${more}</h2>${table(head, rows, 'None.')}</section>
`
}

export function lastEnds({ ends: { last, sinceStart } }: MinerStatusJson): Html {
  const rows = (last ?? []).map(job => [
    shortKey(job.uuid, UUID_SHOWN),
    html`<span class="${cssOf(job.state)}">${job.state}</span>`,
    html`${job.why ?? ''}`,
    html`${job.seconds === null ? '' : duration(job.seconds)}`,
    html`${job.endedAt === null ? '' : time(job.endedAt)}`,
    html`${job.image ?? ''}`,
    html`${shortKey(job.validator, HOTKEY_SHOWN)}${job.delivered ? null : NOT_DELIVERED}`,
  ])
  const { finished, failed, broken, rejected } = sinceStart
  const ended = `${finished} finished, ${failed} failed, ${broken} broken`
  const counts = `since the start: ${ended}, ${rejected} offers declined`
  const head = ['Job', 'End', '~Why', '#Took', 'Ended', '~Image', 'Validator']
  const empty = last === null ? 'The database does not answer.' : 'None yet.'
  return html`<section><h2>Last ends<small>${counts}</small></h2>${table(head, rows, empty)}</section>
`
}

function cssOf(state: JobState): string {
  return state === 'finished' ? 'ok' : state === 'broken' ? 'bad' : 'warn'
}
