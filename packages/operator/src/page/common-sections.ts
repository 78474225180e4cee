/** Parts of the status page that every service shows. */
import type { ChainJson, ProcessJson } from '../admin/observed-service.ts'
import { type Html, html } from './html.ts'
import { ago, table, time } from './table.ts'

/** The chain connection, as entries of a `<dl>`. */
export function chainFacts(chain: ChainJson): Html {
  const block = chain.block === null ? 'none yet' : `${chain.block}, ${ago(chain.blockSeenSecondsAgo)}`
  const node = chain.connected ? chain.node : html`<span class="bad">no connection</span>`
  return html`<div><dt>Chain</dt><dd>${node}</dd></div>
<div><dt>Latest block</dt><dd>${block}</dd></div>`
}

/** The release and the start, as entries of a `<dl>`. */
export function processFacts({ version, node, startedAt }: ProcessJson): Html {
  return html`<div><dt>Version</dt><dd>${version}, Node ${node}</dd></div>
<div><dt>Started</dt><dd>${time(startedAt)}</dd></div>`
}

/** The subnet's validators. `rule` is null and `ageSeconds` is null before the chain has answered. */
export type ValidatorsJson<V extends ListedValidator> = {
  ageSeconds: number | null
  rule: { text: string } | null
  listed: readonly V[]
}

type ListedValidator = {
  rank: number | null
  hotkey: string
  uid: number | null
  stakeTao: number | null
  permit: boolean
}

/** @param badge shown after a hotkey. @param columns those that only this service has */
export function validatorsSection<V extends ListedValidator>(
  { listed, rule, ageSeconds }: ValidatorsJson<V>,
  badge: (validator: V) => Html | null = () => null,
  columns: readonly { head: string; cell(validator: V): Html }[] = [],
): Html {
  const rows = listed.map(validator => [
    html`${validator.rank ?? '–'}`,
    html`<span class="key">${validator.hotkey}</span>${badge(validator)}`,
    html`${validator.uid ?? '–'}`,
    html`${validator.stakeTao === null ? '–' : wholeTao(validator.stakeTao)}`,
    html`${validator.permit ? 'yes' : 'no'}`,
    ...columns.map(({ cell }) => cell(validator)),
  ])
  const age = ageSeconds === null ? 'the chain has not answered yet' : `as of ${ago(ageSeconds)}`
  const which = rule === null ? null : html`<p class="dim">${rule.text}</p>`
  const head = ['#Rank', '~Hotkey', '#Uid', '#Stake, TAO', 'Permit', ...columns.map(column => column.head)]
  return html`<section><h2>Validators<small>${age}</small></h2>${which}${table(head, rows, 'None.')}</section>
`
}

/** The beginning of a hotkey or a uuid; the whole text shows when the mouse rests on it. */
export function shortKey(text: string, length: number): Html {
  return html`<span class="key" title="${text}">${text.slice(0, length)}…</span>`
}

export function wholeTao(amount: number): string {
  return amount.toLocaleString('en', { maximumFractionDigits: 0 })
}
