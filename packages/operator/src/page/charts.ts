/** Charts of the status page: SVG without script or external resources. */
import { type Html, html } from './html.ts'

const WIDTH = 720
const HEIGHT = 200
/** The margins of a chart, for its labels. */
const LEFT = 44
const RIGHT = 12
const TOP = 10
const BOTTOM = 22
/** The number of colours: the classes c0, c1, … */
const COLOURS = 8

export type Line = { name: string; values: readonly number[] }
export type Stack = { label: string; title: string; parts: readonly { css: string; count: number }[] }
export type Bar = { label: string; title: string; value: number; text: string }

/** Draws lines over the same moments, with the earliest at the left. */
export function lineChart(about: string, labels: readonly string[], lines: readonly Line[]): Html {
  const top = niceTop(Math.max(0, ...lines.flatMap(({ values }) => values)))
  const x = (i: number) => at(LEFT + (labels.length < 2 ? 0 : (i * (WIDTH - LEFT - RIGHT)) / (labels.length - 1)))
  const y = (value: number) => at(TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM))
  const drawn = lines.map(({ name, values }, i) => {
    const points = values.map((value, at) => `${x(at)},${y(value)}`).join(' ')
    const dots = values.map(
      (value, at) => html`<circle class="bar c${i % COLOURS}" cx="${x(at)}" cy="${y(value)}" r="2.5"></circle>`,
    )
    const polyline = html`<polyline class="line c${i % COLOURS}" points="${points}"></polyline>`
    return html`<g><title>${name}</title>${polyline}${dots}</g>`
  })
  return svg(about, HEIGHT, [...axes(top, y), ...ends(labels), ...drawn])
}

/** Draws one bar of stacked parts for each moment. */
export function stackChart(about: string, stacks: readonly Stack[]): Html {
  const top = niceTop(Math.max(0, ...stacks.map(sumOf)))
  const room = (HEIGHT - TOP - BOTTOM) / top
  const step = (WIDTH - LEFT - RIGHT) / Math.max(1, stacks.length)
  const bars = stacks.map((stack, i) => {
    let below = HEIGHT - BOTTOM
    const parts = stack.parts.map(({ css, count }) => {
      below -= count * room
      const [x, width, height] = [at(LEFT + i * step + step * 0.15), at(step * 0.7), at(count * room)]
      return html`<rect class="bar ${css}" x="${x}" y="${at(below)}" width="${width}" height="${height}"></rect>`
    })
    return html`<g><title>${stack.title}</title>${parts}</g>`
  })
  const y = (value: number) => at(HEIGHT - BOTTOM - value * room)
  return svg(about, HEIGHT, [...axes(top, y), ...ends(stacks.map(({ label }) => label)), ...bars])
}

/** Draws horizontal bars, each with its name before it and its number after it. */
export function barChart(about: string, bars: readonly Bar[]): Html {
  const [line, name, number] = [20, 170, 90]
  const top = Math.max(0, ...bars.map(({ value }) => value)) || 1
  const drawn = bars.map(({ label, title, value, text }, i) => {
    const width = (value / top) * (WIDTH - name - number)
    const y = i * line
    const bar = html`<rect class="bar c0" x="${name}" y="${y + 4}" width="${at(width)}" height="12"></rect>`
    const before = html`<text x="0" y="${y + 14}">${label}</text>`
    const after = html`<text x="${at(name + width + 8)}" y="${y + 14}">${text}</text>`
    return html`<g><title>${title}</title>${before}${bar}${after}</g>`
  })
  return svg(about, Math.max(1, bars.length) * line, drawn)
}

/** Lists the names of a chart's lines in their colours. */
export function legend(names: readonly Html[]): Html {
  const items = names.map((name, i) => html`<li class="c${i % COLOURS}"><span>${name}</span></li>`)
  return html`<ul class="legend">${items}</ul>`
}

function svg(about: string, height: number, parts: readonly Html[]): Html {
  return html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img"><title>${about}</title>${parts}</svg>`
}

function axes(top: number, y: (value: number) => number): Html[] {
  return [0, top / 2, top].map(value => {
    const line = html`<line class="axis" x1="${LEFT}" y1="${y(value)}" x2="${WIDTH - RIGHT}" y2="${y(value)}"></line>`
    const label = Number(value.toPrecision(3))
    return html`${line}<text x="${LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${label}</text>`
  })
}

/** Labels the first and the last moment. */
function ends(labels: readonly string[]): Html[] {
  const first = labels[0]
  const last = labels.length > 1 ? labels.at(-1) : undefined
  return [
    html`<text x="${LEFT}" y="${HEIGHT - 6}">${first ?? ''}</text>`,
    html`<text x="${WIDTH - RIGHT}" y="${HEIGHT - 6}" text-anchor="end">${last ?? ''}</text>`,
  ]
}

function sumOf({ parts }: Stack): number {
  return parts.reduce((sum, { count }) => sum + count, 0)
}

/** Smaller values count as 0. */
const LEAST = 1e-6

/** Returns the smallest of 1, 2 or 5 times a power of ten that is at least `value`; 1 for 0. */
export function niceTop(value: number): number {
  if (!(value >= LEAST) || !Number.isFinite(value)) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 5, 10].find(times => times * power >= value) ?? 10) * power
}

/** Rounds a coordinate to tenths. */
function at(value: number): number {
  return Math.round(value * 10) / 10
}
