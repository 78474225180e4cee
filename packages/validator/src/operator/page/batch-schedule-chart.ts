import { type Html, html } from '@horde/operator/page/html'
import type { BatchWindow } from '../history/next-batch.ts'

const WIDTH = 720
const HEIGHT = 26
const TOP = 4
const GAP = 1.5

/** Draws the window as one slot for each validator, with our own slot filled and a line for the current time. */
export function batchScheduleChart({ parts, own, passed }: BatchWindow): Html {
  const step = WIDTH / parts
  const slots = Array.from({ length: parts }, (_, i) => {
    const css = i === own ? 'bar ok' : 'part'
    const [x, width] = [tenths(i * step + GAP), tenths(step - 2 * GAP)]
    return html`<rect class="${css}" x="${x}" y="${TOP}" width="${width}" height="${HEIGHT - 2 * TOP}"></rect>`
  })
  const now = tenths(passed * WIDTH)
  const title = html`<title>The validators' slots for batches, our own, and the current time</title>`
  const line = html`<line class="now" x1="${now}" y1="0" x2="${now}" y2="${HEIGHT}"></line>`
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">${title}${slots}${line}</svg>`
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10
}
