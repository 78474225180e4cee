/** The frame of a service's status page: plain HTML without script, which the browser reloads by itself. */
import type { Health } from '@horde/kit/http'
import { Html, html } from './html.ts'
import { STYLE } from './style.ts'
import { duration } from './table.ts'

/** How often the browser reloads the page, in seconds. */
const REFRESH_SECONDS = 10

export type PageContent = {
  /** The service and its uid: `Miner · uid 3`. */
  title: string
  health: Health
  uptimeSeconds: number
  sections: readonly Html[]
}

export function statusPage({ title, health, uptimeSeconds, sections }: PageContent): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="${REFRESH_SECONDS}">
<title>${health.ready ? '' : '⚠ '}${title}</title>
<style>${style}</style>
</head>
<body>
<header><h1>${title}</h1>${badge(health)}<span class="dim">up ${duration(uptimeSeconds)}</span></header>
<main>
${[reasons(health), ...sections]}
</main>
</body>
</html>
`
  return page.text
}

/** The style must not be escaped: the browser compares its hash with the policy. */
const style = new Html(STYLE)

function badge({ live, ready, reasons }: Health): Html {
  if (!live || !ready) return html`<span class="badge bad">not ready</span>`
  if (reasons.length > 0) return html`<span class="badge warn">ready, with warnings</span>`
  return html`<span class="badge ok">ready</span>`
}

function reasons(health: Health): Html {
  if (health.reasons.length === 0) return html``
  const items = health.reasons.map(reason => html`<li>${reason}</li>`)
  return html`<section><h2 class="${health.ready ? 'warn' : 'bad'}">Needs attention</h2><ul>${items}</ul></section>
`
}
