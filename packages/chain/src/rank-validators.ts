/** Validators as a list for an operator: the rule's own order, and those that a miner's settings add or take. */
import { type Metagraph, type Neuron, neuronOf, RAO_PER_TAO, ruleOf, validatorsOf } from './metagraph.ts'

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

/** The rule that a metagraph was read with, for an operator. */
export type ShownRule = {
  max: number
  minStakeTao: number
  /** Each with who says it: an item of the chain, or a setting. */
  text: string
}

export function shownRule(metagraph: Pick<Metagraph, 'validatorRule'>): ShownRule {
  const { max, minStakeRao, fromChain } = ruleOf(metagraph)
  const minStakeTao = taoOf(minStakeRao)
  const maxBy = fromChain.max ? "the chain's MaxAllowedValidators" : 'MAX_VALIDATORS'
  const minBy = fromChain.minStake ? "the chain's StakeThreshold" : 'MIN_VALIDATOR_STAKE_TAO'
  const text = `at most ${max} (${maxBy}), of at least ${minStakeTao.toLocaleString('en')} TAO (${minBy})`
  return { max, minStakeTao, text }
}

/** To three digits. */
export const taoOf = (rao: bigint): number => Number(rao / (RAO_PER_TAO / 1000n)) / 1000

function known(neuron: Neuron | undefined, hotkey = neuron?.hotkey ?? ''): RankedValidator {
  const stakeTao = neuron ? taoOf(neuron.stakeRao) : null
  return {
    rank: null,
    hotkey,
    uid: neuron?.uid ?? null,
    stakeTao,
    permit: neuron?.validatorPermit ?? false,
    note: null,
  }
}
