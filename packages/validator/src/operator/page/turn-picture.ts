import { type Html, html } from '@horde/operator/page/html'
import type { TurnWindow } from '../status/next-batch.ts'

const WIDTH = 720
const HEIGHT = 26
const TOP = 4
const GAP = 1.5

/** The window with a part for each validator, our own filled, and where in it we are now. */
export function turnPicture({ parts, own, passed }: TurnWindow): Html {
  const step = WIDTH / parts
  const rects = Array.from({ length: parts }, (_, i) => {
    const css = i === own ? 'bar ok' : 'part'
    return html`<rect class="${css}" x="${tenths(i * step + GAP)}" y="${TOP}" width="${tenths(step - 2 * GAP)}" height="${HEIGHT - 2 * TOP}"></rect>`
  })
  const now = tenths(passed * WIDTH)
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img"><title>The window of turns, our own part, and now</title>${rects}<line class="now" x1="${now}" y1="0" x2="${now}" y2="${HEIGHT}"></line></svg>`
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10
}
