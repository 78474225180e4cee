/** Where a neuron says it can be reached, as the chain stores it. */
export type Axon = {
  /** Dotted IPv4 or IPv6 in its short form. */
  readonly ip: string
  readonly port: number
  readonly ipType: 4 | 6
  /** What the announcer wrote; the SDK and we write 4. */
  readonly protocol: number
  readonly version: number
  /** The block of the announcement. */
  readonly block: number
}

export type Neuron = {
  readonly uid: number
  /** SS58, prefix 42. */
  readonly hotkey: string
  /** SS58, prefix 42. */
  readonly coldkey: string
  /** Stake in rao (10⁻⁹ TAO), by the newest means the chain offers: total stake weight, subnet alpha, or TAO. */
  readonly stakeRao: bigint
  readonly validatorPermit: boolean
  /** The block in which this neuron last set weights, or registered. */
  readonly lastUpdate: number
  /** Null when this hotkey never announced one. */
  readonly axon: Axon | null
}

/** One subnet as of one block. `neurons[i].uid === i`. */
export type Metagraph = {
  readonly netuid: number
  readonly block: number
  readonly neurons: readonly Neuron[]
  /** As of the same block. Without one, the default holds. */
  readonly validatorRule?: RuleInForce
}

export const RAO_PER_TAO = 1_000_000_000n

/** Who counts as a validator. */
export type ValidatorRule = {
  /** Most validators, by stake. */
  readonly max: number
  /** The least stake of a validator. */
  readonly minStakeRao: bigint
}

/** Who counts as a validator, and whether the chain says so; what it does not say, the settings do. */
export type RuleInForce = ValidatorRule & { readonly fromChain: { readonly max: boolean; readonly minStake: boolean } }

/** 24 validators of at least 1,000 TAO: the rule of 2024, and what holds where neither chain nor settings say another. */
export const DEFAULT_VALIDATOR_RULE: ValidatorRule = { max: 24, minStakeRao: 1_000n * RAO_PER_TAO }

export type ValidatorOptions = {
  /** Ask for a validator permit; default true. False for a chain that gives none. */
  readonly permitNeeded?: boolean
  /** Hotkeys (SS58) of the subnet that the operator counts as validators whatever their stake and permit; they come on top. */
  readonly extra?: readonly string[]
  /** Hotkeys (SS58) that are never validators; stronger than `extra`. */
  readonly banned?: readonly string[]
}

/** The rule that a metagraph was read with. */
export function ruleOf({ validatorRule }: Pick<Metagraph, 'validatorRule'>): RuleInForce {
  return validatorRule ?? { ...DEFAULT_VALIDATOR_RULE, fromChain: { max: false, minStake: false } }
}

/**
 * The subnet's validators, most stake first, ties by lower uid. First the most staked of those with enough stake and a
 * permit; then the operator's own hotkeys, by the same order. A banned hotkey makes room for the next one. A chain may ask
 * for no stake at all; a neuron without any is no validator all the same.
 */
export function validatorsOf(metagraph: Metagraph, options: ValidatorOptions = {}): Neuron[] {
  const { permitNeeded = true } = options
  const { max, minStakeRao } = ruleOf(metagraph)
  const banned = new Set(options.banned)
  const extra = new Set(options.extra)
  const byStake = metagraph.neurons.filter(neuron => !banned.has(neuron.hotkey)).sort(mostStakeFirst)
  const isEntitled = ({ stakeRao, validatorPermit }: Neuron) =>
    stakeRao > 0n && stakeRao >= minStakeRao && (validatorPermit || !permitNeeded)
  const chosen = new Set(byStake.filter(isEntitled).slice(0, max))
  return byStake.filter(neuron => chosen.has(neuron) || extra.has(neuron.hotkey))
}

const mostStakeFirst = (a: Neuron, b: Neuron): number =>
  a.stakeRao === b.stakeRao ? a.uid - b.uid : a.stakeRao < b.stakeRao ? 1 : -1

/** Whether a neuron announces an address that somebody could dial. */
export const isServing = (neuron: Neuron): neuron is Neuron & { readonly axon: Axon } =>
  neuron.axon !== null && neuron.axon.port !== 0 && neuron.axon.ip !== '0.0.0.0' && neuron.axon.ip !== '::'

/** The neuron of a hotkey (SS58), if it is registered. */
export const neuronOf = (metagraph: Metagraph, hotkey: string): Neuron | undefined =>
  metagraph.neurons.find(neuron => neuron.hotkey === hotkey)
