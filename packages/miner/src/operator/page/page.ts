/** The status as a page for people: plain HTML that needs no script and loads itself anew. */
import type { MinerStatus } from '../status.ts'
import { Html, html } from './html.ts'
import { jobsNow, lastEnds } from './job-sections.ts'
import { horde, self, validators, watches } from './miner-sections.ts'
import { STYLE } from './style.ts'
import { duration } from './table.ts'

/** How often a browser asks anew, in seconds. */
const REFRESH_SECONDS = 10

export function statusPage(status: MinerStatus): string {
  const { miner, health } = status
  const uid = miner.uid === null ? '' : ` · uid ${miner.uid}`
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="${REFRESH_SECONDS}">
<title>${health.ready ? '' : '⚠ '}Miner${uid}</title>
<style>${style}</style>
</head>
<body>
<header><h1>Miner${uid}</h1>${badge(status)}<span class="dim">up ${duration(miner.uptimeSeconds)}</span></header>
<main>
${[reasons(status), self(status), horde(status), jobsNow(status), lastEnds(status), validators(status), watches(status)]}
</main>
</body>
</html>
`
  return page.text
}

/** Our own text, which must stay as it is: the browser compares its hash. */
const style = new Html(STYLE)

function badge({ health: { live, ready, reasons } }: MinerStatus): Html {
  if (!live || !ready) return html`<span class="badge bad">not ready</span>`
  if (reasons.length > 0) return html`<span class="badge warn">ready, with warnings</span>`
  return html`<span class="badge ok">ready</span>`
}

function reasons({ health }: MinerStatus): Html {
  if (health.reasons.length === 0) return html``
  const items = health.reasons.map(reason => html`<li>${reason}</li>`)
  return html`<section><h2 class="${health.ready ? 'warn' : 'bad'}">What needs hands</h2><ul>${items}</ul></section>
`
}
