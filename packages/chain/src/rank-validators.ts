/** Validators as a list for an operator: the rule's own order, and those that a miner's settings add or take. */
import { type Metagraph, type Neuron, neuronOf, RAO_PER_TAO, validatorsOf } from './metagraph.ts'

export type RankedValidator = {
  /** 1 is the most staked; null for who is not served, or not on the subnet. */
  rank: number | null
  hotkey: string
  uid: number | null
  /** In TAO, to three digits; null for who is not on the subnet. */
  stakeTao: number | null
  permit: boolean
  /** extra: served by setting alone. banned: not served by setting. */
  note: 'extra' | 'banned' | null
}

export type ValidatorSettings = { extra: readonly string[]; banned: readonly string[] }

/** Those that are served first, by rank; then who is served without being on the subnet; then the banned. */
export function rankValidators(
  metagraph: Metagraph | undefined,
  { extra, banned }: ValidatorSettings,
): RankedValidator[] {
  const entitled = new Set(metagraph ? validatorsOf(metagraph, { banned }) : [])
  const served = metagraph ? validatorsOf(metagraph, { extra, banned }) : []
  const ranked = served.map((neuron, i): RankedValidator => {
    return { ...known(neuron), rank: i + 1, note: entitled.has(neuron) ? null : 'extra' }
  })
  const elsewhere = extra.filter(hotkey => !banned.includes(hotkey) && !served.some(each => each.hotkey === hotkey))
  const find = (hotkey: string) => (metagraph ? neuronOf(metagraph, hotkey) : undefined)
  return [
    ...ranked,
    ...[...new Set(elsewhere)].map(hotkey => ({ ...known(undefined, hotkey), note: 'extra' as const })),
    ...[...new Set(banned)].map(hotkey => ({ ...known(find(hotkey), hotkey), note: 'banned' as const })),
  ]
}

function known(neuron: Neuron | undefined, hotkey = neuron?.hotkey ?? ''): RankedValidator {
  const stakeTao = neuron ? Number(neuron.stakeRao / (RAO_PER_TAO / 1000n)) / 1000 : null
  return {
    rank: null,
    hotkey,
    uid: neuron?.uid ?? null,
    stakeTao,
    permit: neuron?.validatorPermit ?? false,
    note: null,
  }
}
