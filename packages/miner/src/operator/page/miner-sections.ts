/** The page's sections about the miner, its pools and its validators. */
import { chainFacts, processFacts, validatorsSection } from '@horde/operator/page/common-sections'
import { type Html, html } from '@horde/operator/page/html'
import { table } from '@horde/operator/page/table'
import type { MinerStatusJson } from '../status-json.ts'

export function self({ miner, chain }: MinerStatusJson): Html {
  const { registered, announced, address: own } = miner
  const onSubnet =
    registered === null ? 'not known yet' : registered ? html`uid ${miner.uid}` : html`<span class="bad">no</span>`
  const address = announced ? `${announced.ip} port ${announced.port}, block ${announced.block}` : 'nothing'
  return html`<section><h2>This miner</h2><dl>
<div class="wide"><dt>Hotkey</dt><dd class="key">${miner.hotkey}</dd></div>
<div><dt>Registered on subnet ${miner.netuid}</dt><dd>${onSubnet}</dd></div>
<div><dt>Address</dt><dd>${own.ip === null ? 'not known' : `${own.ip}, ${own.how}`}</dd></div>
<div><dt>Announced on the chain</dt><dd>${address}${whyNotAnnounced(own)}</dd></div>
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

export function pools({ horde }: MinerStatusJson): Html {
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

export function validators({ validators }: MinerStatusJson): Html {
  const columns = [
    { head: 'Note', cell: ({ note }: Listed) => html`${note ?? ''}` },
    { head: '#Connections', cell: ({ connections }: Listed) => html`${connections}` },
  ]
  return validatorsSection(validators, undefined, columns)
}

type Listed = MinerStatusJson['validators']['listed'][number]
