import type { Chain } from '@horde/chain/chain'
import { type Metagraph, neuronOf } from '@horde/chain/metagraph'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import { minersJobs, newestSetting } from '../db/scores.ts'
import { type Handover, handoversIn } from '../weights/plan-weights.ts'

export interface ReportDeps {
  chain: Pick<Chain, 'metagraph' | 'weightsOf'>
  /** The validator whose weights are explained. */
  hotkey: Hotkey
  db: Database
}

/** A weight setting with its explanation. */
export type ReportedSetting = NonNullable<Awaited<ReturnType<typeof newestSetting>>>
/** A miner's job as the database has it. */
export type ReportedJob = Awaited<ReturnType<typeof minersJobs>>[number]

/** The data behind a miner's weight. */
export interface MinerReport {
  hotkey: string
  /** Undefined if the miner has left the subnet. */
  uid: number | undefined
  /** The latest weights that were set or are being set; undefined if there are none yet. */
  setting: ReportedSetting | undefined
  /** The miner's weight in that setting, u16. */
  weight: number
  /** Uids that this miner got or lost since the setting's weights were computed. */
  handovers: Handover[]
  /** The miner's jobs in the setting's batches, as far as the database still has them. */
  jobs: ReportedJob[]
  /** The weight on the chain, u16, scaled so that the row's largest is 65535; undefined if the miner has left. */
  held: number | undefined
}

/**
 * Collects the data that `explainMiner` formats.
 *
 * @param who a miner's hotkey, or its uid
 * @returns undefined if neither the subnet nor the latest setting has this miner
 */
export async function reportMiner(netuid: number, who: string, deps: ReportDeps): Promise<MinerReport | undefined> {
  const { chain, db } = deps
  const metagraph = await chain.metagraph(netuid)
  const setting = await newestSetting(db, netuid, deps.hotkey.ss58)
  const hotkey = hotkeyOf(who, metagraph, setting)
  if (hotkey === undefined) return undefined
  const uid = neuronOf(metagraph, hotkey)?.uid
  const own = neuronOf(metagraph, deps.hotkey.ss58)?.uid
  const row = own === undefined ? [] : await chain.weightsOf(netuid, own)
  const batches = setting?.explanation?.batches ?? setting?.batchIds ?? []
  return {
    ...{ hotkey, uid, setting },
    handovers: setting
      ? handoversIn(setting, metagraph).filter(({ from, to }) => from === hotkey || to === hotkey)
      : [],
    weight: setting ? weightIn(setting, hotkey, uid) : 0,
    jobs: batches.length > 0 ? await minersJobs(db, batches, hotkey) : [],
    held: uid === undefined ? undefined : (row.find(each => each.uid === uid)?.weight ?? 0),
  }
}

function hotkeyOf(who: string, { neurons }: Metagraph, setting: ReportedSetting | undefined): string | undefined {
  if (/^\d+$/.test(who)) return neurons[Number(who)]?.hotkey
  const isKnown = neurons.some(({ hotkey }) => hotkey === who) || setting?.scores.some(({ hotkey }) => hotkey === who)
  return isKnown ? who : undefined
}

/** Returns a miner's weight in a setting, by the uid it had then, which another miner may have by now. */
function weightIn({ scores, uids, weights }: ReportedSetting, hotkey: string, uidNow: number | undefined): number {
  const uid = scores.find(each => each.hotkey === hotkey)?.uid ?? uidNow
  const isOthers = scores.some(each => each.uid === uid && each.hotkey !== hotkey)
  return uid === undefined || isOthers ? 0 : (weights[uids.indexOf(uid)] ?? 0)
}
