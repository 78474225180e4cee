/** Tables of the status page, and readable durations and times. */
import { type Html, html } from './html.ts'

const MINUTE = 60
const HOUR = 3_600
const DAY = 86_400
/** From this many seconds on, tenths are left out. */
const WHOLE_SECONDS = 10

const KINDS: Readonly<Record<string, string>> = { '#': 'number', '~': 'long' }

/** @param head the names of the columns. A leading # marks a column of numbers, ~ one of long texts */
export function table(head: readonly string[], rows: readonly (readonly Html[])[], empty: string): Html {
  if (rows.length === 0) return html`<p class="dim">${empty}</p>`
  const columns = head.map(name => ({ name: name.replace(/^[#~]/, ''), css: KINDS[name.charAt(0)] ?? '' }))
  const heads = columns.map(({ name, css }) => html`<th scope="col" class="${css}">${name}</th>`)
  const body = rows.map(row => {
    const cells = row.map((cell, i) => cellOf(cell, columns[i]))
    return html`<tr>${cells}</tr>
`
  })
  return html`<table><thead><tr>${heads}</tr></thead><tbody>
${body}</tbody></table>`
}

/** A cell carries its column's name, which narrow windows show beside it. */
function cellOf(cell: Html, column: { name: string; css: string } | undefined): Html {
  const { name = '', css = '' } = column ?? {}
  if (cell.text === '') return html`<td class="${css}"></td>`
  return html`<td class="${css}" data-of="${name}"><div>${cell}</div></td>`
}

/** Returns a duration in its two largest units: `2 d 3 h`. */
export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < WHOLE_SECONDS) return `${seconds.toFixed(1).replace(/\.0$/, '')} s`
  const whole = Math.round(seconds)
  if (whole < MINUTE) return `${whole} s`
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min ${whole % MINUTE} s`
  if (whole < DAY) return `${Math.floor(whole / HOUR)} h ${Math.floor((whole % HOUR) / MINUTE)} min`
  return `${Math.floor(whole / DAY)} d ${Math.floor((whole % DAY) / HOUR)} h`
}

export function ago(seconds: number | null): string {
  if (seconds === null) return 'never'
  return seconds < 1 ? 'just now' : `${duration(seconds)} ago`
}

export function time(iso: string): Html {
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')} UTC</time>`
}
