/** What the chain lets this validator do, and whether miners listen to it: its permit, its stake, its place. */
import { type Metagraph, neuronOf, ruleOf } from '@horde/chain/metagraph'
import { rankValidators, shownRule, taoOf } from '@horde/chain/rank-validators'
import { bad, type Finding, ok, warn } from '@horde/kit/watch/finding'
import type { Watch } from '@horde/kit/watch/watches'

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

/**
 * @param own this validator's hotkey, and the version key that it sends weights with
 * @param known as the chain said it last; undefined while it has not
 */
export function standingWatch(own: OwnKeys, known: () => SubnetKnown | undefined): Watch {
  const look = async (): Promise<Finding[]> => {
    const subnet = known()
    return subnet ? [...versionFindings(subnet, own.versionKey), ...standingFindings(subnet, own.hotkey)] : []
  }
  return { name: 'standing', everyMs: EVERY_MS, look }
}

export type OwnKeys = { hotkey: string; versionKey: number }

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
  hotkey: string,
): Finding[] {
  const own = neuronOf(metagraph, hotkey)
  if (!own) return []
  const { permit, rank, validators } = standingOf(metagraph, hotkey)
  const stake = `${taoOf(own.stakeRao).toLocaleString('en', { maximumFractionDigits: 0 })} TAO`
  const findings = [permit ? ok('permit', 'the hotkey has a validator permit') : NO_PERMIT]
  if (own.stakeRao < stakeThresholdRao) {
    const advice = `stake at least ${taoOf(stakeThresholdRao)} TAO: the chain takes no weights from less`
    return [...findings, bad('stake', stake, advice)]
  }
  const { minStakeRao } = ruleOf(metagraph)
  if (own.stakeRao < minStakeRao) {
    const advice = `stake at least ${taoOf(minStakeRao)} TAO: miners listen to nobody with less`
    return [...findings, warn('stake', stake, advice)]
  }
  return [...findings, ok('stake', stake), placeFinding(metagraph, rank, validators)]
}

const NO_PERMIT = bad(
  'permit',
  'the hotkey has no validator permit',
  'stake more: the chain gives permits to the most staked, at an epoch, and takes weights from nobody else',
)

function placeFinding(metagraph: Metagraph, rank: number | null, validators: number): Finding {
  const { max, text } = shownRule(metagraph)
  if (rank !== null) return ok('place', `${rank} of ${validators} validators by stake: ${text}`)
  return warn(
    'place',
    `not among the ${max} validators by stake: miners need not listen, and no batch starts by itself`,
    'stake more, or set that batches are run anyway',
  )
}
