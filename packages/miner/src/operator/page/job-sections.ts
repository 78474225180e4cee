/** The sections of the status page about jobs. */

import { type Html, html } from '@horde/operator/page/html'
import { duration, table, time } from '@horde/operator/page/table'
import type { MinerStatus } from '../status.ts'

const UUID_SHOWN = 8
const HOTKEY_SHOWN = 10

export function jobsNow({ jobs }: MinerStatus): Html {
  const rows = jobs.now.map(job => [
    html`<span class="key" title="${job.uuid}">${job.uuid.slice(0, UUID_SHOWN)}</span>`,
    html`${job.state}`,
    html`${duration(job.sinceSeconds)}`,
    html`${job.executorClass}`,
    html`${job.image ?? ''}`,
    hotkey(job.validator),
  ])
  const more = jobs.open > jobs.now.length ? html`<small>the first ${jobs.now.length} of them</small>` : null
  const head = ['Job', 'State', '#For', 'Class', '~Image', 'Validator']
  return html`<section><h2>Jobs now<small>${jobs.open}</small>${more}</h2>${table(head, rows, 'None.')}</section>
`
}

export function lastEnds({ ends: { last, sinceStart } }: MinerStatus): Html {
  const rows = (last ?? []).map(job => [
    html`<span class="key" title="${job.uuid}">${job.uuid.slice(0, UUID_SHOWN)}</span>`,
    html`<span class="${job.state === 'finished' ? 'ok' : job.state === 'broken' ? 'bad' : 'warn'}">${job.state}</span>`,
    html`${job.why ?? ''}`,
    html`${job.seconds === null ? '' : duration(job.seconds)}`,
    html`${job.endedAt === null ? '' : time(job.endedAt)}`,
    html`${job.image ?? ''}`,
    html`${hotkey(job.validator)}${job.delivered ? null : html` <span class="warn">waits for it</span>`}`,
  ])
  const { finished, failed, broken, rejected } = sinceStart
  const counts = `since the start: ${finished} finished, ${failed} failed, ${broken} broken, ${rejected} offers declined`
  const head = ['Job', 'End', '~Why', '#Took', 'Ended', '~Image', 'Validator']
  return html`<section><h2>Last ends<small>${counts}</small></h2>${table(head, rows, last === null ? 'The database does not answer.' : 'None yet.')}</section>
`
}

function hotkey(ss58: string): Html {
  return html`<span class="key" title="${ss58}">${ss58.slice(0, HOTKEY_SHOWN)}…</span>`
}
