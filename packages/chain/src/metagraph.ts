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
}

export const RAO_PER_TAO = 1_000_000_000n

/** How many neurons can be validators at once, at most (rule of 2024, kept). */
export const MAX_VALIDATORS = 24

/** The least stake of a validator, in rao: 1,000 TAO (rule of 2024, kept). */
export const MIN_VALIDATOR_STAKE_RAO = 1_000n * RAO_PER_TAO

export type ValidatorOptions = {
  /** Most validators by stake; default 24. Hotkeys in `extra` come on top. */
  readonly max?: number
  /** Default 1,000 TAO. */
  readonly minStakeRao?: bigint
  /** Ask for a validator permit; default true. False for a chain that gives none. */
  readonly permitNeeded?: boolean
  /** Hotkeys (SS58) of the subnet that the operator counts as validators whatever their stake and permit. */
  readonly extra?: readonly string[]
  /** Hotkeys (SS58) that are never validators; stronger than `extra`. */
  readonly banned?: readonly string[]
}

/**
 * The subnet's validators, most stake first, ties by lower uid. First the most staked of those with enough stake and a
 * permit; then the operator's own hotkeys, by the same order. A banned hotkey makes room for the next one.
 */
export function validatorsOf(metagraph: Metagraph, options: ValidatorOptions = {}): Neuron[] {
  const { max = MAX_VALIDATORS, minStakeRao = MIN_VALIDATOR_STAKE_RAO, permitNeeded = true } = options
  const banned = new Set(options.banned)
  const extra = new Set(options.extra)
  const byStake = metagraph.neurons.filter(neuron => !banned.has(neuron.hotkey)).sort(mostStakeFirst)
  const entitled = byStake
    .filter(neuron => neuron.stakeRao >= minStakeRao && (neuron.validatorPermit || !permitNeeded))
    .slice(0, max)
  const chosen = new Set(entitled)
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
