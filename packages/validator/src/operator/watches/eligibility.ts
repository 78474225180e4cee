/** Whether the chain accepts this validator's weights and miners accept its jobs: its permit, its stake, its rank. */
import { type NeuronNames, stakeCommand } from '@horde/chain/btcli/commands'
import { type Metagraph, type Neuron, neuronOf, RAO_PER_TAO, ruleOf, validatorsOf } from '@horde/chain/metagraph'
import { rankValidators, ruleSummary, taoOf } from '@horde/chain/rank-validators'
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import type { Watch } from '@horde/operator/watch/watches'

/** A look reads what is already known of the subnet and asks nothing, so it can be frequent. */
const EVERY_MS = 5_000

/** The subnet, as of the chain's last answer. */
export type KnownSubnet = {
  metagraph: Metagraph
  /** The smallest stake with which the chain accepts weights, in rao. */
  stakeThresholdRao: bigint
  /** The lowest version key with which the chain accepts weights. */
  weightsVersionKey: bigint
}

/** What the chain and the miners allow this validator. */
export type Eligibility = {
  registered: boolean
  uid: number | null
  permit: boolean
  stakeTao: number | null
  /** The rank among the subnet's validators, from 1; null for a hotkey that is none of them. */
  rank: number | null
  /** How many validators have a rank. */
  validators: number
}

export function eligibilityOf(metagraph: Metagraph, hotkey: string): Eligibility {
  const own = neuronOf(metagraph, hotkey)
  const ranked = rankValidators(metagraph, { extra: [], banned: [] })
  return {
    registered: own !== undefined,
    uid: own?.uid ?? null,
    permit: own?.validatorPermit ?? false,
    stakeTao: own ? taoOf(own.stakeRao) : null,
    rank: ranked.find(each => each.hotkey === hotkey)?.rank ?? null,
    validators: ranked.length,
  }
}

/** @param known the chain's last answer; undefined before the first one */
export function eligibilityWatch(own: OwnKey & { versionKey: number }, known: () => KnownSubnet | undefined): Watch {
  const look = async (): Promise<Finding[]> => {
    const subnet = known()
    return subnet ? [...versionFindings(subnet, own.versionKey), ...eligibilityFindings(subnet, own)] : []
  }
  // Dashboards and alerts know this watch by its name.
  return { name: 'standing', everyMs: EVERY_MS, look }
}

/** This validator's hotkey, and the names that its owner's btcli commands use. */
export type OwnKey = { hotkey: string; names: NeuronNames }

/** The chain accepts weights whose version key is at least the subnet's. */
export function versionFindings({ weightsVersionKey }: KnownSubnet, versionKey: number): Finding[] {
  const found = `the subnet asks for ${weightsVersionKey}, and WEIGHTS_VERSION_KEY is ${versionKey}`
  if (weightsVersionKey <= BigInt(versionKey)) return [ok('weights version', found)]
  const set = `set WEIGHTS_VERSION_KEY=${weightsVersionKey}`
  const advice = `read what the subnet's owner changed, update this validator, and ${set}`
  return [bad('weights version', `${found}: the chain refuses our weights`, advice)]
}

/** Returns nothing for a hotkey that is not registered: the registration watch reports that. */
export function eligibilityFindings(
  { metagraph, stakeThresholdRao }: Pick<KnownSubnet, 'metagraph' | 'stakeThresholdRao'>,
  { hotkey, names }: OwnKey,
): Finding[] {
  const own = neuronOf(metagraph, hotkey)
  if (!own) return []
  const stakeUpTo = (rao: bigint) => stakeCommand(names, taoOf(rao - own.stakeRao))
  const stake = `${taoOf(own.stakeRao).toLocaleString('en', { maximumFractionDigits: 0 })} TAO`
  const findings = [permitFinding(metagraph, own, stakeUpTo)]
  if (own.stakeRao < stakeThresholdRao) {
    const least = `stake at least ${taoOf(stakeThresholdRao)} TAO`
    const advice = `${least} (${stakeUpTo(stakeThresholdRao)}): the chain takes no weights from less`
    return [...findings, bad('stake', stake, advice)]
  }
  const { minStakeRao } = ruleOf(metagraph)
  if (own.stakeRao < minStakeRao) {
    const least = `stake at least ${taoOf(minStakeRao)} TAO`
    const advice = `${least} (${stakeUpTo(minStakeRao)}): miners accept no validator with less`
    return [...findings, warn('stake', stake, advice)]
  }
  return [...findings, ok('stake', stake), rankFinding(metagraph, own, stakeUpTo)]
}

type StakeUpTo = (rao: bigint) => string

/** At each epoch the chain gives permits to the hotkeys with the most stake, and none to a hotkey without stake. */
function permitFinding({ neurons }: Metagraph, own: Neuron, stakeUpTo: StakeUpTo): Finding {
  if (own.validatorPermit) return ok('permit', 'the hotkey has a validator permit')
  const least = leastStake(neurons.filter(({ validatorPermit }) => validatorPermit)) ?? 0n
  const why = 'the chain gives permits to the most staked, at an epoch, and takes weights only from them'
  const advice =
    own.stakeRao > least
      ? `wait for the next epoch: the last hotkey with a permit has less, ${taoOf(least)} TAO; or stake more`
      : `stake more than ${taoOf(least)} TAO (${stakeUpTo(least + RAO_PER_TAO)})`
  return bad('permit', 'the hotkey has no validator permit', `${advice}: ${why}`)
}

function rankFinding(metagraph: Metagraph, own: Neuron, stakeUpTo: StakeUpTo): Finding {
  const { rank, validators } = eligibilityOf(metagraph, own.hotkey)
  const { max, text } = ruleSummary(metagraph)
  if (rank !== null) return ok('place', `${rank} of ${validators} validators by stake: ${text}`)
  const least = leastStake(validatorsOf(metagraph)) ?? 0n
  const more = own.validatorPermit
    ? `stake more than the ${taoOf(least)} TAO of the last of them (${stakeUpTo(least + RAO_PER_TAO)})`
    : 'get the permit'
  return warn(
    'place',
    `not among the ${max} validators by stake: miners need not listen, and no batch starts by itself`,
    `${more}, or set that batches are run anyway`,
  )
}

function leastStake(neurons: readonly Neuron[]): bigint | undefined {
  let least: bigint | undefined
  for (const { stakeRao } of neurons) {
    if (least === undefined || stakeRao < least) least = stakeRao
  }
  return least
}
