/** Lists validators for an operator: ranked by stake, with those that a miner's settings add or ban. */
import { type Metagraph, type Neuron, neuronOf, RAO_PER_TAO, ruleOf, validatorsOf } from './metagraph.ts'

/** A validator in the list for an operator. */
export type RankedValidator = {
  /** 1 has the most stake. Null if it is not served or not on the subnet. */
  rank: number | null
  hotkey: string
  uid: number | null
  /** In TAO, to three decimals. Null if it is not on the subnet. */
  stakeTao: number | null
  permit: boolean
  /** extra: served only because of the settings. banned: not served because of the settings. */
  note: 'extra' | 'banned' | null
}

/** Hotkeys (SS58) that the settings add to and remove from the validators. */
export type ValidatorSettings = { extra: readonly string[]; banned: readonly string[] }

/** Returns the validators that are served, by rank; then the extra ones that are not on the subnet; then the banned. */
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

/** A validator rule in the form that an operator reads. */
export type RuleSummary = {
  max: number
  minStakeTao: number
  /** One sentence, with the source of each number: an item of the chain, or a setting. */
  text: string
}

/** Returns a metagraph's validator rule in the form that an operator reads. */
export function ruleSummary(metagraph: Pick<Metagraph, 'validatorRule'>): RuleSummary {
  const { max, minStakeRao, fromChain } = ruleOf(metagraph)
  const minStakeTao = taoOf(minStakeRao)
  const maxBy = fromChain.max ? "the chain's MaxAllowedValidators" : 'MAX_VALIDATORS'
  const minBy = fromChain.minStake ? "the chain's StakeThreshold" : 'MIN_VALIDATOR_STAKE_TAO'
  const text = `at most ${max} (${maxBy}), of at least ${minStakeTao.toLocaleString('en')} TAO (${minBy})`
  return { max, minStakeTao, text }
}

/** Converts rao to TAO, to three decimals. */
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
