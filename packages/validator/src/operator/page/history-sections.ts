/** The page's sections about batches, scores, weights and users' jobs, with charts. */

import { barChart, legend, lineChart, stackChart } from '@horde/operator/page/charts'
import { shortKey } from '@horde/operator/page/common-sections'
import { type Html, html } from '@horde/operator/page/html'
import { duration, table, time } from '@horde/operator/page/table'
import type { JobState } from '@horde/protocol/job-state'
import type { FacilitatorState } from '../../organic/facilitator-connection.ts'
import type { BatchJson, SettingJson } from '../history.ts'
import type { ValidatorStatusJson } from '../status-json.ts'

const HOTKEY_SHOWN = 10
const UUID_SHOWN = 8
/** How many batches have a row in the table, and miners a bar in the chart. */
const BATCH_ROWS = 6
const BARS = 24

const NO_ANSWER = html`<p class="dim">The database does not answer.</p>`

/** The parts of a bar, from its bottom to its top: successes below failures. */
const PARTS: readonly { css: string; states: readonly JobState[]; about: string }[] = [
  { css: 'ok', states: ['finished'], about: 'finished' },
  { css: 'open', states: ['offered', 'accepted', 'ready', 'running'], about: 'open' },
  { css: 'warn', states: ['failed', 'rejected'], about: 'failed or rejected' },
  { css: 'bad', states: ['broken'], about: 'broken' },
]

export function batches({ history }: ValidatorStatusJson): Html {
  if (history === null) return section('Batches', null, NO_ANSWER)
  const all = history.batches
  const stacks = all.toReversed().map(batch => {
    const parts = PARTS.map(({ css, states }) => ({ css, count: countOf(batch, states) }))
    const counts = PARTS.map(({ states, about }) => `${countOf(batch, states)} ${about}`).join(', ')
    return { label: minuteOf(batch.startedAt), title: `Batch ${batch.id}, ${batch.benchmark}: ${counts}`, parts }
  })
  const rows = all
    .slice(0, BATCH_ROWS)
    .map(batch => [
      html`${batch.id}`,
      html`${batch.benchmark}`,
      time(batch.startedAt),
      html`${Object.values(batch.jobs).reduce((sum, jobs) => sum + jobs, 0)}`,
      html`${batch.rightAnswers}`,
      html`${stateOf(batch)}`,
    ])
  const head = ['#Batch', 'Benchmark', 'Started', '#Jobs', '#Right answers', 'State']
  const names = PARTS.map(({ css, about }) => html`<span class="${css}">■</span> ${about} `)
  const chart =
    all.length === 0
      ? null
      : html`${stackChart('Jobs of the last batches by how they ended', stacks)}<p class="dim">${names}</p>`
  return section('Batches', `the last ${all.length}`, html`${chart}${table(head, rows, 'None yet.')}`)
}

export function scores({ history }: ValidatorStatusJson): Html {
  if (history === null) return section('Scores', null, NO_ANSWER)
  const { scores: miners, moreMiners, batches: all } = history
  if (miners.length === 0) return section('Scores', null, html`<p class="dim">No miner has scored yet.</p>`)
  const labels = all.toReversed().map(({ startedAt }) => minuteOf(startedAt))
  const lines = miners.map(({ hotkey, uid, byBatch }) => {
    return { name: `uid ${uid}, ${hotkey}`, values: byBatch.toReversed() }
  })
  const names = miners.map(({ hotkey, uid, total }) => {
    return html`uid ${uid} ${shortKey(hotkey, HOTKEY_SHOWN)} ${total.toFixed(2)}`
  })
  const more = moreMiners > 0 ? `the best ${miners.length}; ${moreMiners} more scored` : 'by batch'
  return section('Scores', more, html`${lineChart('Score of each miner by batch', labels, lines)}${legend(names)}`)
}

const METHODS = {
  set: 'Set in the clear',
  'commit-hash': 'Committed as a hash, to be revealed later',
  'commit-timelocked': 'Committed encrypted, until a round of drand',
} as const

export function weights({ history, weightsBy }: ValidatorStatusJson): Html {
  if (history === null) return section('Weights', null, NO_ANSWER)
  const { settings } = history
  const held = settings.find(({ state }) => state === 'included') ?? settings[0]
  const rows = settings.map(setting => [
    html`${setting.id}`,
    html`<span class="${cssOf(setting)}">${setting.state}</span>`,
    html`${setting.basis}`,
    html`${setting.method}`,
    time(setting.plannedAt),
    html`${setting.block ?? '–'}`,
    html`${setting.refusal ?? ''}`,
  ])
  const head = ['#Setting', 'State', 'Basis', 'Method', 'Planned', '#Block', '~Refusal']
  const method = weightsBy && html`<p>${METHODS[weightsBy.method]} <span class="dim">${weightsBy.why}</span></p>`
  const chart = held && held.entries.length > 0 ? html`${weightBars(held)}` : null
  return section(
    'Weights',
    held ? `of setting ${held.id}` : null,
    html`${method}${chart}${table(head, rows, 'None yet.')}`,
  )
}

export function organicJobs({ history, facilitator }: ValidatorStatusJson): Html {
  const connection = facilitator === null ? 'no facilitator is set' : connectionText(facilitator)
  if (history === null) return section("Users' jobs", connection, NO_ANSWER)
  const rows = history.organicJobs.map(job => [
    shortKey(job.uuid, UUID_SHOWN),
    html`${job.state}`,
    html`${job.why ?? ''}`,
    html`${job.seconds === null ? '' : duration(job.seconds)}`,
    html`${time(job.createdAt)}`,
    html`${job.image ?? ''}`,
    shortKey(job.miner, HOTKEY_SHOWN),
    html`${job.source ?? ''}${job.retryOf === null ? null : html` for ${job.retryOf.slice(0, UUID_SHOWN)}`}`,
  ])
  const head = ['Job', 'State', '~Why', '#Took', 'Asked', '~Image', 'Miner', 'By']
  return section("Users' jobs", connection, table(head, rows, 'None yet.'))
}

function connectionText({ connected, dialect, running, waiting }: FacilitatorState): string {
  const state = connected ? `the facilitator is connected and speaks ${dialect}` : 'no connection to the facilitator'
  return `${state}, ${running} running, ${waiting} updates without an answer`
}

function weightBars({ entries }: SettingJson): Html {
  const bars = entries.slice(0, BARS).map(({ uid, hotkey, weight, share }) => ({
    ...{ label: `uid ${uid} ${hotkey === null ? '' : `${hotkey.slice(0, HOTKEY_SHOWN)}…`}`, value: share },
    ...{ title: `${hotkey ?? `uid ${uid}`}: ${weight} of 65535`, text: `${(share * 100).toFixed(1)} %` },
  }))
  const more = entries.length > BARS ? html`<p class="dim">${entries.length - BARS} more</p>` : null
  return html`${barChart('Share of each miner in the weights', bars)}${more}`
}

function section(name: string, about: string | null, body: Html): Html {
  return html`<section><h2>${name}${about === null ? null : html`<small>${about}</small>`}</h2>${body}</section>
`
}

function stateOf({ closedAt, scoredAt, counts }: BatchJson): Html | string {
  if (closedAt === null) return 'open'
  if (!counts) return 'does not count'
  return scoredAt === null ? 'waits for weights' : 'scored'
}

function cssOf({ state }: SettingJson): string {
  return state === 'included' ? 'ok' : state === 'refused' ? 'bad' : 'warn'
}

function countOf({ jobs }: BatchJson, states: readonly JobState[]): number {
  return states.reduce((sum, state) => sum + (jobs[state] ?? 0), 0)
}

/** Returns month, day and minute, in UTC: `01-31 12:00`. */
function minuteOf(iso: string): string {
  return iso.slice(5, 16).replace('T', ' ')
}
