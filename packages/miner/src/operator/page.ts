/** The miner's status page: its sections about the miner, its pools, its jobs and its validators. */
import { chainFacts, processFacts, shortKey, validatorsSection } from '@horde/operator/page/common-sections'
import { type Html, html } from '@horde/operator/page/html'
import type { PageContent } from '@horde/operator/page/status-page'
import { duration, table, time } from '@horde/operator/page/table'
import { watchesSection } from '@horde/operator/page/watches-section'
import type { JobState } from '@horde/protocol/job-state'
import type { MinerStatusJson } from './status-json.ts'

/** How many characters of a uuid and of a hotkey are shown. */
const UUID_SHOWN = 8
const HOTKEY_SHOWN = 10

const NOT_DELIVERED = html` <span class="warn">not delivered</span>`

export function minerPage(status: MinerStatusJson): PageContent {
  const { miner, health } = status
  return {
    title: `Miner${miner.uid === null ? '' : ` · uid ${miner.uid}`}`,
    health,
    uptimeSeconds: miner.uptimeSeconds,
    sections: [
      ...[self(status), pools(status), jobsNow(status), lastEnds(status), validators(status)],
      watchesSection(status.watches),
    ],
  }
}

function self({ miner, chain }: MinerStatusJson): Html {
  const { registered, announced, address: own } = miner
  const onSubnet =
    registered === null ? 'not known yet' : registered ? html`uid ${miner.uid}` : html`<span class="bad">no</span>`
  const address = announced ? `${announced.ip} port ${announced.port}, block ${announced.block}` : 'nothing'
  return html`<section><h2>This miner</h2><dl>
<div class="wide"><dt>Hotkey</dt><dd class="key">${miner.hotkey}</dd></div>
<div><dt>Registered on subnet ${miner.netuid}</dt><dd>${onSubnet}</dd></div>
<div><dt>Address</dt><dd>${own.ip === null ? 'not known' : `${own.ip}, ${own.how}`}</dd></div>
<div><dt>Announced on the chain</dt><dd>${address}${whyNotAnnounced(own)}</dd></div>
${manifestOnChain(miner)}
<div><dt>Port for validators</dt><dd>${miner.port}</dd></div>
${chainFacts(chain)}
${processFacts(miner)}
</dl></section>
`
}

function whyNotAnnounced({ error, waitsForBlock }: MinerStatusJson['miner']['address']): Html | null {
  if (error !== null) return html`<br><span class="bad">${error}</span>`
  return waitsForBlock === null ? null : html`<br><span class="dim">next attempt in block ${waitsForBlock}</span>`
}

function manifestOnChain({ manifest }: MinerStatusJson['miner']): Html | null {
  if (manifest === null) return null
  const { committed, block, isCurrent, error } = manifest
  const found = committed === null ? 'nothing' : `${committed || 'no executors'}, block ${block}`
  const now = isCurrent === false ? html` <span class="warn">not that of now</span>` : null
  const why = error === null ? null : html`<br><span class="bad">${error}</span>`
  return html`<div><dt>Manifest on the chain</dt><dd>${isCurrent === null ? 'not known yet' : found}${now}${why}</dd></div>`
}

function pools({ horde }: MinerStatusJson): Html {
  const rows = horde.map(({ pool, executorClass, places, taken, warm, draining, closedWhy }) => [
    html`${pool}${draining ? html` <span class="badge warn">draining</span>` : null}${closed(closedWhy)}`,
    html`${executorClass}`,
    html`${taken}`,
    html`${Math.max(0, places - taken)}`,
    html`${warm.ready}${warm.starting > 0 ? html` <span class="dim">+${warm.starting} starting</span>` : null}`,
  ])
  const head = ['Pool', 'Class', '#Taken', '#Free', '#Warm']
  return html`<section><h2>Horde</h2>${table(head, rows, 'No executors.')}</section>
`
}

function closed(why: string | null): Html | null {
  return why === null ? null : html` <span class="badge bad">takes no jobs</span><br><span class="dim">${why}</span>`
}

function validators({ validators }: MinerStatusJson): Html {
  const columns = [
    { head: 'Note', cell: ({ note }: Listed) => html`${note ?? ''}` },
    { head: '#Connections', cell: ({ connections }: Listed) => html`${connections}` },
    { head: 'Dialect', cell: ({ dialects }: Listed) => html`${dialects.join(', ')}` },
  ]
  return validatorsSection(validators, undefined, columns)
}

type Listed = MinerStatusJson['validators']['listed'][number]

function jobsNow({ jobs }: MinerStatusJson): Html {
  const rows = jobs.now.map(job => [
    shortKey(job.uuid, UUID_SHOWN),
    html`${job.state}`,
    html`${duration(job.sinceSeconds)}`,
    html`${job.executorClass}`,
    html`${job.image ?? ''}`,
    shortKey(job.validator, HOTKEY_SHOWN),
    html`${job.dialect}, ${job.executorDialect ?? '–'}`,
  ])
  const more = jobs.open > jobs.now.length ? html`<small>the first ${jobs.now.length} of them</small>` : null
  const head = ['Job', 'State', '#For', 'Class', '~Image', 'Validator', 'Dialects (validator, executor)']
  return html`<section><h2>Jobs now<small>${jobs.open}</small>${more}</h2>${table(head, rows, 'None.')}</section>
`
}

function lastEnds({ ends: { last, sinceStart } }: MinerStatusJson): Html {
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
