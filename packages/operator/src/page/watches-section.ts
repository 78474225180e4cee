import type { Finding, Verdict } from '@horde/kit/check/finding'
import type { Watched } from '../watch/watches.ts'
import { type Html, html } from './html.ts'
import { ago, table } from './table.ts'

/** A watch as /status.json says it. */
export type ShownWatch = {
  watch: string
  verdict: Verdict
  lookedSecondsAgo: number | null
  findings: Omit<Finding, 'of' | 'isUnknown'>[]
}

/** @param nowMs since the epoch, in milliseconds */
export function shownWatches(watches: readonly Watched[], nowMs: number): ShownWatch[] {
  return watches.map(({ watch, verdict, lookedAtMs, findings }) => {
    const lookedSecondsAgo = lookedAtMs === null ? null : Math.max(0, Math.round((nowMs - lookedAtMs) / 1000))
    return { watch, verdict, lookedSecondsAgo, findings: findings.map(({ of: _, isUnknown: __, ...rest }) => rest) }
  })
}

/** The section of a status page about what is watched. */
export function watchesSection(watches: readonly ShownWatch[]): Html {
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
