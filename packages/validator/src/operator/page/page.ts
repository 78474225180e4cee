import { chainFacts, processFacts, validatorsSection, wholeTao } from '@horde/operator/page/common-sections'
import { type Html, html } from '@horde/operator/page/html'
import type { PageContent } from '@horde/operator/page/status-page'
import { duration, table, time } from '@horde/operator/page/table'
import { watchesSection } from '@horde/operator/page/watches-section'
import type { BatchWindow } from '../next-batch.ts'
import type { ValidatorStatusJson } from '../status-json.ts'
import { batches, organicJobs, scores, weights } from './history-sections.ts'

/** The size of the chart of the batch window, in pixels. */
const WIDTH = 720
const HEIGHT = 26
const TOP = 4
const GAP = 1.5

/** Returns the content of the status page. */
export function validatorPage(status: ValidatorStatusJson): PageContent {
  const { validator, health } = status
  const uid = validator.standing?.uid ?? null
  return {
    title: `Validator${uid === null ? '' : ` · uid ${uid}`}`,
    health,
    uptimeSeconds: validator.uptimeSeconds,
    sections: [
      ...[self(status), nextBatch(status), batches(status), scores(status), weights(status), organicJobs(status)],
      ...[recentErrors(status), miners(status), validators(status), watchesSection(status.watches)],
    ],
  }
}

function self({ validator, chain }: ValidatorStatusJson): Html {
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

function nextBatch({ nextBatch: { at, inSeconds, why, window } }: ValidatorStatusJson): Html {
  const when =
    at === null || inSeconds === null ? html`none is scheduled` : html`in ${duration(inSeconds)}, at ${time(at)}`
  const chart = window === null ? null : batchScheduleChart(window)
  return html`<section><h2>Next batch</h2><p>${when} <span class="dim">${why}</span></p>${chart}</section>
`
}

function recentErrors({ troubles }: ValidatorStatusJson): Html {
  const rows = troubles.map(({ at, where, what }) => [time(at), html`${where}`, html`${what}`])
  return html`<section><h2>Recent errors</h2>${table(['When', 'Where', '~What'], rows, 'None.')}</section>
`
}

/** How many miners have a row. */
const MINER_ROWS = 256

function miners({ miners: all }: ValidatorStatusJson): Html {
  const rows = all
    .slice(0, MINER_ROWS)
    .map(({ hotkey, address, dialect }) => [html`${hotkey}`, html`${address}`, html`${dialect}`])
  const shown = table(['~Hotkey', 'Address', 'Dialect'], rows, 'None yet.')
  return html`<section><h2>Dialects of miners</h2>${shown}</section>
`
}

function validators({ validator, validators }: ValidatorStatusJson): Html {
  const thisOne = html` <span class="badge ok">this one</span>`
  return validatorsSection(validators, ({ hotkey }) => (hotkey === validator.hotkey ? thisOne : null))
}

/** Draws the window as one slot for each validator, with our own slot filled and a line for the current time. */
function batchScheduleChart({ parts, own, passed }: BatchWindow): Html {
  const step = WIDTH / parts
  const slots = Array.from({ length: parts }, (_, i) => {
    const css = i === own ? 'bar ok' : 'part'
    const [x, width] = [tenths(i * step + GAP), tenths(step - 2 * GAP)]
    return html`<rect class="${css}" x="${x}" y="${TOP}" width="${width}" height="${HEIGHT - 2 * TOP}"></rect>`
  })
  const now = tenths(passed * WIDTH)
  const title = html`<title>The validators' slots for batches, our own, and the current time</title>`
  const line = html`<line class="now" x1="${now}" y1="0" x2="${now}" y2="${HEIGHT}"></line>`
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">${title}${slots}${line}</svg>`
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10
}
