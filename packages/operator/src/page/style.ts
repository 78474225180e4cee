/** The style of the status page: light and dark, for wide screens and phones. */
import { createHash } from 'node:crypto'

export const STYLE = `
:root {
  color-scheme: light dark;
  --ink: light-dark(#1c2024, #e6e8ea); --dim: light-dark(#60666c, #9aa1a8);
  --page: light-dark(#f6f7f8, #131518); --card: light-dark(#fff, #1b1e22); --line: light-dark(#e2e5e8, #2c3136);
  --ok: light-dark(#17703c, #58c47f); --warn: light-dark(#8a5a00, #e0a83a); --bad: light-dark(#b3261e, #f2776e);
}
* { box-sizing: border-box }
body {
  margin: 0 auto; padding: 1.25rem; max-width: 80rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1rem; margin-bottom: 1rem }
h1 { font-size: 1.35rem; margin: 0 }
h2 { font-size: 1rem; margin: 0 0 .6rem }
h2 small { font-weight: normal; color: var(--dim); margin-left: .5rem }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .9rem 1rem; margin-bottom: 1rem;
}
ul { margin: 0; padding-left: 1.1rem }
p { margin: 0 }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .6rem 1.25rem; margin: 0 }
dt { color: var(--dim); font-size: .85rem }
dd { margin: 0; overflow-wrap: anywhere }
.wide { grid-column: 1 / -1 }
table { border-collapse: collapse; width: 100% }
th { text-align: left; font-weight: normal; color: var(--dim); font-size: .85rem; padding: 0 .75rem .3rem 0 }
td { padding: .32rem .75rem .32rem 0; border-top: 1px solid var(--line); vertical-align: top }
.long { overflow-wrap: anywhere }
.number { text-align: right; padding-right: 1.5rem; font-variant-numeric: tabular-nums; white-space: nowrap }
.key { font-family: ui-monospace, "SF Mono", "DejaVu Sans Mono", monospace; font-size: .87em }
.dim { color: var(--dim) }
.badge {
  font-size: .85rem; font-weight: 600; border: 1px solid; border-radius: 1rem; padding: .05rem .6rem;
  white-space: nowrap;
}
.ok { color: var(--ok) } .warn { color: var(--warn) } .bad { color: var(--bad) }
svg { display: block; width: 100%; height: auto }
svg text { fill: var(--dim); font-size: 11px }
.axis { stroke: var(--line) }
.line { fill: none; stroke: var(--c, currentColor); stroke-width: 2 }
.bar { fill: var(--c, currentColor) }
.open { color: var(--dim) }
.part { fill: var(--line) }
.now { stroke: var(--ink); stroke-width: 2 }
.legend {
  display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: .5rem 0 0; padding: 0; list-style: none; font-size: .85rem;
}
.legend li::before { content: "■ "; color: var(--c, currentColor) }
.c0 { --c: light-dark(#2563a8, #6ea8e8) } .c1 { --c: light-dark(#b4540a, #e8955a) }
.c2 { --c: light-dark(#17703c, #58c47f) } .c3 { --c: light-dark(#8e3aa8, #c88be0) }
.c4 { --c: light-dark(#a8243e, #ee7d92) } .c5 { --c: light-dark(#5c6b0a, #b4c24e) }
.c6 { --c: light-dark(#0b7285, #4fc3d6) } .c7 { --c: light-dark(#6b5b4b, #bfae9c) }
@media (max-width: 46rem) {
  body { padding: .75rem }
  thead { display: none }
  table, tbody, tr { display: block }
  tr { border-top: 1px solid var(--line); padding: .45rem 0 }
  tr:first-child { border-top: 0; padding-top: 0 }
  td, .number {
    display: flex; gap: 1rem; justify-content: space-between; border: 0; padding: .1rem 0; text-align: right;
    overflow-wrap: anywhere; white-space: normal;
  }
  td::before { content: attr(data-of); color: var(--dim); text-align: left; flex: none }
  td:empty { display: none }
  .key { font-size: .76em }
}
`

/** The content security policy: the browser may show the page in this style, and load or run nothing. */
export const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')
