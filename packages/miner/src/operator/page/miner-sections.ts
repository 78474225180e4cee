/** The sections of the status page about the miner and what it stands on. */

import { type Html, html } from '@horde/operator/page/html'
import { ago, table, time } from '@horde/operator/page/table'
import type { MinerStatus } from '../status.ts'

export function self({ miner, chain }: MinerStatus): Html {
  const { registered, announced, address: own } = miner
  const onSubnet =
    registered === null ? 'not known yet' : registered ? html`uid ${miner.uid}` : html`<span class="bad">no</span>`
  const address = announced ? `${announced.ip} port ${announced.port}, block ${announced.block}` : 'nothing'
  const block = chain.block === null ? 'none yet' : `${chain.block}, ${ago(chain.blockSeenSecondsAgo)}`
  const node = chain.connected ? chain.node : html`<span class="bad">no connection</span>`
  return html`<section><h2>This miner</h2><dl>
<div class="wide"><dt>Hotkey</dt><dd class="key">${miner.hotkey}</dd></div>
<div><dt>Registered on subnet ${miner.netuid}</dt><dd>${onSubnet}</dd></div>
<div><dt>Address</dt><dd>${own.ip === null ? 'not known' : `${own.ip}, ${own.how}`}</dd></div>
<div><dt>Announced on the chain</dt><dd>${address}${trouble(own)}</dd></div>
<div><dt>Port for validators</dt><dd>${miner.port}</dd></div>
<div><dt>Chain</dt><dd>${node}</dd></div>
<div><dt>Latest block</dt><dd>${block}</dd></div>
<div><dt>Version</dt><dd>${miner.version}, Node ${miner.node}</dd></div>
<div><dt>Started</dt><dd>${time(miner.startedAt)}</dd></div>
</dl></section>
`
}

/** Why the chain does not say the address. */
function trouble({ error, waitsForBlock }: MinerStatus['miner']['address']): Html | null {
  if (error !== null) return html`<br><span class="bad">${error}</span>`
  return waitsForBlock === null ? null : html`<br><span class="dim">again in block ${waitsForBlock}</span>`
}

export function horde({ horde: pools }: MinerStatus): Html {
  const rows = pools.map(({ pool, executorClass, places, taken, warm, draining, closedWhy }) => [
    html`${pool}${draining ? html` <span class="badge warn">draining</span>` : null}${closed(closedWhy)}`,
    html`${executorClass}`,
    html`${taken}`,
    html`${Math.max(0, places - taken)}`,
    html`${warm.ready}${warm.starting > 0 ? html` <span class="dim">+${warm.starting} starting</span>` : null}`,
  ])
  return html`<section><h2>Horde</h2>${table(['Pool', 'Class', '#Taken', '#Free', '#Warm'], rows, 'No executors.')}</section>
`
}

function closed(why: string | null): Html | null {
  return why === null ? null : html` <span class="badge bad">takes no jobs</span><br><span class="dim">${why}</span>`
}

export function validators({ validators: { listed, rule, ageSeconds } }: MinerStatus): Html {
  const rows = listed.map(({ rank, uid, stakeTao, permit, note, connections, ...validator }) => [
    html`${rank ?? '–'}`,
    html`<span class="key">${validator.hotkey}</span>`,
    html`${uid ?? '–'}`,
    html`${stakeTao === null ? '–' : stakeTao.toLocaleString('en', { maximumFractionDigits: 0 })}`,
    html`${permit ? 'yes' : 'no'}`,
    html`${note ?? ''}`,
    html`${connections}`,
  ])
  const age = ageSeconds === null ? 'the chain has not been heard yet' : `as of ${ago(ageSeconds)}`
  const which = rule === null ? null : html`<p class="dim">${rule.text}</p>`
  const head = ['#Rank', '~Hotkey', '#Uid', '#Stake, TAO', 'Permit', 'Note', '#Connections']
  return html`<section><h2>Validators<small>${age}</small></h2>${which}${table(head, rows, 'None.')}</section>
`
}
