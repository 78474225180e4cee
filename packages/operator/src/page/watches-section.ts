import type { Finding, Verdict } from '@horde/kit/check/finding'
import { wholeSeconds } from '../admin/observed-service.ts'
import type { Watched } from '../watch/watches.ts'
import { type Html, html } from './html.ts'
import { ago, table } from './table.ts'

/** A watch as /status.json shows it. */
export type WatchJson = {
  watch: string
  verdict: Verdict
  lookedSecondsAgo: number | null
  findings: Omit<Finding, 'of' | 'isUnknown'>[]
}

/** @param nowMs since the epoch, in milliseconds */
export function watchesJson(watches: readonly Watched[], nowMs: number): WatchJson[] {
  return watches.map(({ watch, verdict, lookedAtMs, findings }) => {
    const lookedSecondsAgo = lookedAtMs === null ? null : wholeSeconds(nowMs - lookedAtMs)
    return { watch, verdict, lookedSecondsAgo, findings: findings.map(({ of: _, isUnknown: __, ...rest }) => rest) }
  })
}

/** The page's section about what the watches found. */
export function watchesSection(watches: readonly WatchJson[]): Html {
  const rows = watches.flatMap(({ watch, findings, lookedSecondsAgo }) => {
    const shown = findings.length > 0 ? findings : [{ verdict: 'ok', subject: watch, found: 'nothing yet', advice: '' }]
    return shown.map(({ verdict, subject, found, advice }) => [
      html`${subject}`,
      html`<span class="${verdict}">${verdict}</span>`,
      html`${found}${advice === '' ? null : html`<br><span class="dim">To do: ${advice}</span>`}`,
      html`${lookedSecondsAgo === null ? 'not yet' : ago(lookedSecondsAgo)}`,
    ])
  })
  return html`<section><h2>Watches</h2>${table(['What', 'How', '~Found', 'Looked'], rows, 'None.')}</section>
`
}
