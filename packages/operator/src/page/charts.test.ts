import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { barChart, legend, lineChart, niceTop, stackChart } from './charts.ts'
import { html } from './html.ts'

const HOSTILE = `<img src=x onerror="alert(1)">'&`

describe('charts', () => {
  it.each([
    ['lines', () => lineChart('about', ['a', HOSTILE], [{ name: HOSTILE, values: [0, 2] }])],
    ['stacks', () => stackChart('about', [{ label: HOSTILE, title: HOSTILE, parts: [{ css: 'ok', count: 2 }] }])],
    ['bars', () => barChart('about', [{ label: HOSTILE, title: HOSTILE, value: 1, text: HOSTILE }])],
    ['a legend', () => legend([html`${HOSTILE}`])],
  ])('%s show text that peers chose as text', (_, draw) => {
    const { text } = draw()
    expect(text).not.toContain('<img')
    expect(text).toContain('&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&#39;&amp;')
  })

  it('are valid without any values', () => {
    for (const { text } of [lineChart('a', [], []), stackChart('a', []), barChart('a', [])]) {
      expect(text).toMatch(/^<svg viewBox="0 0 720 \d+" role="img"><title>a<\/title>.*<\/svg>$/s)
      expect(text).not.toMatch(/NaN|Infinity|undefined/)
    }
  })

  it('keep every coordinate a number within the frame, whatever the values', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 40 }), values => {
        const { text } = lineChart('a', values.map(String), [{ name: 'x', values }])
        const ys = [...text.matchAll(/cy="([^"]+)"/g)].map(([, y]) => Number(y))
        expect(ys).toHaveLength(values.length)
        for (const y of ys) expect(y >= 0 && y <= 200).toBe(true)
      }),
    )
  })

  it('draw each part of a bar as high as its count', () => {
    const parts = [
      { css: 'ok', count: 3 },
      { css: 'bad', count: 1 },
    ]
    const { text } = stackChart('a', [{ label: 'x', title: 'x', parts }])
    const heights = [...text.matchAll(/<rect class="bar (\w+)"[^>]* height="([^"]+)"/g)].map(([, css, h]) => [
      css,
      Number(h),
    ])
    expect(heights).toEqual([
      ['ok', 100.8],
      ['bad', 33.6],
    ])
  })

  it.each([
    [0, 1],
    [0.3, 0.5],
    [1, 1],
    [1.2, 2],
    [7, 10],
    [256, 500],
    [Number.NaN, 1],
  ])('scale an axis for %d up to %d', (value, top) => expect(niceTop(value)).toBe(top))
})
