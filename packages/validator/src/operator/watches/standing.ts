/** What the chain lets this validator do, and whether miners listen to it: its permit, its stake, its place. */
import { type NeuronNames, stakeCommand } from '@horde/chain/btcli/commands'
import { type Metagraph, type Neuron, neuronOf, RAO_PER_TAO, ruleOf, validatorsOf } from '@horde/chain/metagraph'
import { rankValidators, shownRule, taoOf } from '@horde/chain/rank-validators'
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import type { Watch } from '@horde/operator/watch/watches'

/** Often: it looks at what is known of the subnet, and asks nobody. */
const EVERY_MS = 5_000

export type SubnetKnown = {
  metagraph: Metagraph
  /** The least stake, in rao, with which the chain takes weights. */
  stakeThresholdRao: bigint
  /** The least version key with which the chain takes weights. */
  weightsVersionKey: bigint
}

export type Standing = {
  registered: boolean
  uid: number | null
  permit: boolean
  stakeTao: number | null
  /** The place in the validators' order, from 1; null outside it. */
  rank: number | null
  /** How many are in that order. */
  validators: number
}

export function standingOf(metagraph: Metagraph, hotkey: string): Standing {
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

/** @param known as the chain said it last; undefined while it has not */
export function standingWatch(own: Own & { versionKey: number }, known: () => SubnetKnown | undefined): Watch {
  const look = async (): Promise<Finding[]> => {
    const subnet = known()
    return subnet ? [...versionFindings(subnet, own.versionKey), ...standingFindings(subnet, own)] : []
  }
  return { name: 'standing', everyMs: EVERY_MS, look }
}

/** This validator's hotkey, and the names by which its owner's commands go. */
export type Own = { hotkey: string; names: NeuronNames }

/** Whether the subnet takes weights with our version key: any that is not below its own. */
export function versionFindings({ weightsVersionKey }: SubnetKnown, versionKey: number): Finding[] {
  const found = `the subnet asks for ${weightsVersionKey}, and WEIGHTS_VERSION_KEY is ${versionKey}`
  if (weightsVersionKey <= BigInt(versionKey)) return [ok('weights version', found)]
  const advice = `read what the subnet's owner changed, update this validator, and set WEIGHTS_VERSION_KEY=${weightsVersionKey}`
  return [bad('weights version', `${found}: the chain refuses our weights`, advice)]
}

/** Nothing for a hotkey that is not registered: that is another finding. */
export function standingFindings(
  { metagraph, stakeThresholdRao }: Pick<SubnetKnown, 'metagraph' | 'stakeThresholdRao'>,
  { hotkey, names }: Own,
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
    const advice = `${least} (${stakeUpTo(minStakeRao)}): miners listen to nobody with less`
    return [...findings, warn('stake', stake, advice)]
  }
  return [...findings, ok('stake', stake), placeFinding(metagraph, own, stakeUpTo)]
}

type StakeUpTo = (rao: bigint) => string

/** The chain gives its permits at an epoch, to the most staked, and none to a hotkey without stake. */
function permitFinding({ neurons }: Metagraph, own: Neuron, stakeUpTo: StakeUpTo): Finding {
  if (own.validatorPermit) return ok('permit', 'the hotkey has a validator permit')
  const least = leastStake(neurons.filter(({ validatorPermit }) => validatorPermit)) ?? 0n
  const why = 'the chain gives permits to the most staked, at an epoch, and takes weights from nobody else'
  const advice =
    own.stakeRao > least
      ? `wait for the next epoch, for which there is more than the ${taoOf(least)} TAO of the last one with a permit; else stake more`
      : `stake more than ${taoOf(least)} TAO (${stakeUpTo(least + RAO_PER_TAO)})`
  return bad('permit', 'the hotkey has no validator permit', `${advice}: ${why}`)
}

function placeFinding(metagraph: Metagraph, own: Neuron, stakeUpTo: StakeUpTo): Finding {
  const { rank, validators } = standingOf(metagraph, own.hotkey)
  const { max, text } = shownRule(metagraph)
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
