/** The sections of the status page about the validator and what it stands on. */
import { type Html, html } from '@horde/operator/page/html'
import { ago, duration, table, time } from '@horde/operator/page/table'
import type { ValidatorStatus } from '../status/status.ts'
import { turnPicture } from './turn-picture.ts'

export function self({ validator, chain }: ValidatorStatus): Html {
  const block = chain.block === null ? 'none yet' : `${chain.block}, ${ago(chain.blockSeenSecondsAgo)}`
  const node = chain.connected ? chain.node : html`<span class="bad">no connection</span>`
  return html`<section><h2>This validator</h2><dl>
<div class="wide"><dt>Hotkey</dt><dd class="key">${validator.hotkey}</dd></div>
${standing(validator)}
<div><dt>Chain</dt><dd>${node}</dd></div>
<div><dt>Latest block</dt><dd>${block}</dd></div>
<div><dt>Version</dt><dd>${validator.version}, Node ${validator.node}</dd></div>
<div><dt>Started</dt><dd>${time(validator.startedAt)}</dd></div>
</dl></section>
`
}

function standing({ standing: own, netuid }: ValidatorStatus['validator']): Html {
  const no = html`<span class="bad">no</span>`
  if (own === null) return html`<div><dt>Registered on subnet ${netuid}</dt><dd>not known yet</dd></div>`
  const place =
    own.rank === null ? html`<span class="warn">outside the order</span>` : `${own.rank} of ${own.validators}`
  return html`<div><dt>Registered on subnet ${netuid}</dt><dd>${own.registered ? html`uid ${own.uid}` : no}</dd></div>
<div><dt>Permit</dt><dd>${own.permit ? 'yes' : no}</dd></div>
<div><dt>Stake</dt><dd>${own.stakeTao === null ? '–' : `${tao(own.stakeTao)} TAO`}</dd></div>
<div><dt>Place among validators</dt><dd>${place}</dd></div>`
}

export function nextBatch({ nextBatch: { at, inSeconds, why, window } }: ValidatorStatus): Html {
  const when =
    at === null || inSeconds === null
      ? html`none that starts by itself`
      : html`in ${duration(inSeconds)}, at ${time(at)}`
  return html`<section><h2>Next batch</h2><p>${when} <span class="dim">${why}</span></p>${window === null ? null : turnPicture(window)}</section>
`
}

export function troubles({ troubles: all }: ValidatorStatus): Html {
  const rows = all.map(({ at, where, what }) => [time(at), html`${where}`, html`${what}`])
  return html`<section><h2>Last errors</h2>${table(['When', 'Where', '~What'], rows, 'None.')}</section>
`
}

export function validators({ validator, validators: { listed, rule, ageSeconds } }: ValidatorStatus): Html {
  const rows = listed.map(({ rank, hotkey, uid, stakeTao, permit }) => [
    html`${rank ?? '–'}`,
    html`<span class="key">${hotkey}</span>${hotkey === validator.hotkey ? html` <span class="badge ok">this one</span>` : null}`,
    html`${uid ?? '–'}`,
    html`${stakeTao === null ? '–' : tao(stakeTao)}`,
    html`${permit ? 'yes' : 'no'}`,
  ])
  const age = ageSeconds === null ? 'the chain has not been heard yet' : `as of ${ago(ageSeconds)}`
  const which = rule === null ? null : html`<p class="dim">${rule.text}</p>`
  const head = ['#Rank', '~Hotkey', '#Uid', '#Stake, TAO', 'Permit']
  return html`<section><h2>Validators<small>${age}</small></h2>${which}${table(head, rows, 'None.')}</section>
`
}

function tao(amount: number): string {
  return amount.toLocaleString('en', { maximumFractionDigits: 0 })
}
