/** The address that a neuron announced on the chain. */
export type Axon = {
  /** Dotted IPv4, or IPv6 in its short form. */
  readonly ip: string
  readonly port: number
  readonly ipType: 4 | 6
  /** Set by the announcer. The SDK and this code set 4. */
  readonly protocol: number
  readonly version: number
  /** The block of the announcement. */
  readonly block: number
}

/** A registered neuron of a subnet. */
export type Neuron = {
  readonly uid: number
  /** SS58, prefix 42. */
  readonly hotkey: string
  /** SS58, prefix 42. */
  readonly coldkey: string
  /** Stake in rao (10⁻⁹ TAO): the total stake weight, else the subnet's alpha, else TAO, depending on the chain. */
  readonly stakeRao: bigint
  readonly validatorPermit: boolean
  /** The block in which this neuron last set weights or registered. */
  readonly lastUpdate: number
  /** Null if this hotkey has announced none. */
  readonly axon: Axon | null
}

/** One subnet at one block. `neurons[i].uid === i`. */
export type Metagraph = {
  readonly netuid: number
  readonly block: number
  readonly neurons: readonly Neuron[]
  /** At the same block. Without it, `DEFAULT_VALIDATOR_RULE` applies. */
  readonly validatorRule?: RuleInForce
}

/** 1 TAO in rao. */
export const RAO_PER_TAO = 1_000_000_000n

/** Defines which neurons count as validators. */
export type ValidatorRule = {
  /** How many of those with the most stake count. */
  readonly max: number
  /** The least stake of a validator. */
  readonly minStakeRao: bigint
}

/** A validator rule, and which of its values come from the chain. The others come from the settings. */
export type RuleInForce = ValidatorRule & { readonly fromChain: { readonly max: boolean; readonly minStake: boolean } }

/** The rule if neither the chain nor the settings define one: 24 validators with at least 1,000 TAO, as in 2024. */
export const DEFAULT_VALIDATOR_RULE: ValidatorRule = { max: 24, minStakeRao: 1_000n * RAO_PER_TAO }

/** How an operator changes which neurons count as validators. */
export type ValidatorOptions = {
  /** Whether a validator needs a validator permit; default true. False for a chain without permits. */
  readonly permitNeeded?: boolean
  /** Hotkeys (SS58) that count as validators in addition, whatever their stake and permit. */
  readonly extra?: readonly string[]
  /** Hotkeys (SS58) that never count as validators. Overrides `extra`. */
  readonly banned?: readonly string[]
}

/** Returns the validator rule of a metagraph. */
export function ruleOf({ validatorRule }: Pick<Metagraph, 'validatorRule'>): RuleInForce {
  return validatorRule ?? { ...DEFAULT_VALIDATOR_RULE, fromChain: { max: false, minStake: false } }
}

/**
 * Returns the subnet's validators, most stake first and ties by lower uid: the `max` neurons with the most stake among
 * those with enough stake and a permit, and the `extra` hotkeys. A banned hotkey makes room for the next neuron. A
 * neuron without stake never counts, even if the chain requires none.
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

/** Returns whether a neuron announces an address that can be dialled. */
export const isServing = (neuron: Neuron): neuron is Neuron & { readonly axon: Axon } =>
  neuron.axon !== null && neuron.axon.port !== 0 && neuron.axon.ip !== '0.0.0.0' && neuron.axon.ip !== '::'

/** Returns the neuron of a hotkey (SS58); undefined if it is not registered. */
export const neuronOf = (metagraph: Metagraph, hotkey: string): Neuron | undefined =>
  metagraph.neurons.find(neuron => neuron.hotkey === hotkey)
