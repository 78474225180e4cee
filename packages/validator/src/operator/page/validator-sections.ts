/** The page's sections about the validator, its next batch and the other validators. */
import { chainFacts, processFacts, validatorsSection, wholeTao } from '@horde/operator/page/common-sections'
import { type Html, html } from '@horde/operator/page/html'
import { duration, table, time } from '@horde/operator/page/table'
import type { ValidatorStatusJson } from '../status-json.ts'
import { batchScheduleChart } from './batch-schedule-chart.ts'

export function self({ validator, chain }: ValidatorStatusJson): Html {
  return html`<section><h2>This validator</h2><dl>
<div class="wide"><dt>Hotkey</dt><dd class="key">${validator.hotkey}</dd></div>
${eligibility(validator)}
${chainFacts(chain)}
${processFacts(validator)}
</dl></section>
`
}

function eligibility({ standing: own, netuid }: ValidatorStatusJson['validator']): Html {
  const no = html`<span class="bad">no</span>`
  if (own === null) return html`<div><dt>Registered on subnet ${netuid}</dt><dd>not known yet</dd></div>`
  const rank = own.rank === null ? html`<span class="warn">no rank</span>` : `${own.rank} of ${own.validators}`
  return html`<div><dt>Registered on subnet ${netuid}</dt><dd>${own.registered ? html`uid ${own.uid}` : no}</dd></div>
<div><dt>Permit</dt><dd>${own.permit ? 'yes' : no}</dd></div>
<div><dt>Stake</dt><dd>${own.stakeTao === null ? '–' : `${wholeTao(own.stakeTao)} TAO`}</dd></div>
<div><dt>Rank among validators</dt><dd>${rank}</dd></div>`
}

export function nextBatch({ nextBatch: { at, inSeconds, why, window } }: ValidatorStatusJson): Html {
  const when =
    at === null || inSeconds === null ? html`none is scheduled` : html`in ${duration(inSeconds)}, at ${time(at)}`
  const chart = window === null ? null : batchScheduleChart(window)
  return html`<section><h2>Next batch</h2><p>${when} <span class="dim">${why}</span></p>${chart}</section>
`
}

export function recentErrors({ troubles }: ValidatorStatusJson): Html {
  const rows = troubles.map(({ at, where, what }) => [time(at), html`${where}`, html`${what}`])
  return html`<section><h2>Recent errors</h2>${table(['When', 'Where', '~What'], rows, 'None.')}</section>
`
}

export function validators({ validator, validators }: ValidatorStatusJson): Html {
  const thisOne = html` <span class="badge ok">this one</span>`
  return validatorsSection(validators, ({ hotkey }) => (hotkey === validator.hotkey ? thisOne : null))
}
