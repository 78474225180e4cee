import { expect, it } from 'vitest'
import { html } from './html.ts'
import { ago, duration, table } from './table.ts'

it.each([
  [0.017, '17 ms'],
  [1, '1 s'],
  [2.25, '2.3 s'],
  [59.4, '59 s'],
  [61, '1 min 1 s'],
  [7_260, '2 h 1 min'],
  [183_600, '2 d 3 h'],
])('formats %d seconds as %s', (seconds, words) => {
  expect(duration(seconds)).toBe(words)
})

it('formats less than a second ago as just now', () => {
  expect([ago(0.4), ago(5), ago(null)]).toEqual(['just now', '5 s ago', 'never'])
})

it('escapes every value in HTML once', () => {
  const hostile = `<b>&amp;"'`
  const inner = html`<td title="${hostile}">${hostile}</td>`
  const escaped = '&lt;b&gt;&amp;amp;&quot;&#39;'
  expect(html`<tr>${[inner, inner]}${null}${0}</tr>`.text).toBe(
    `<tr>${`<td title="${escaped}">${escaped}</td>`.repeat(2)}0</tr>`,
  )
})

it('names the column in each cell of a table, for narrow windows', () => {
  const { text } = table(['Job', '#For'], [[html`a`, html``]], 'None.')
  expect(text).toContain('<td class="" data-of="Job"><div>a</div></td><td class="number"></td>')
  expect(table(['Job'], [], 'None.').text).toBe('<p class="dim">None.</p>')
})
