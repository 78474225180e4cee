import type { Chain } from '@horde/chain/chain'
import { type Metagraph, neuronOf } from '@horde/chain/metagraph'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import { minersJobs, newestSetting } from '../db/scores.ts'
import { type Handover, handoversIn } from '../scoring/handovers.ts'

export interface ReportDeps {
  chain: Pick<Chain, 'metagraph' | 'weightsOf'>
  /** Whose weights. */
  hotkey: Hotkey
  db: Database
}

export type ReportedSetting = NonNullable<Awaited<ReturnType<typeof newestSetting>>>
export type ReportedJob = Awaited<ReturnType<typeof minersJobs>>[number]

/** What is known of how a miner came to its weight. */
export interface MinerReport {
  hotkey: string
  /** Undefined when it has left the subnet. */
  uid: number | undefined
  /** The last weights that were set, or are being set. Undefined before there are any. */
  setting: ReportedSetting | undefined
  /** Its weight in that setting, u16. */
  weight: number
  /** The uids that it had or has, and that changed hands since the setting's weights were made. */
  handovers: Handover[]
  /** Its jobs in the batches that the setting is made of, as far as they are kept. */
  jobs: ReportedJob[]
  /** Its weight on the chain, u16, scaled so that the largest of the row is 65535. Undefined: it has left. */
  held: number | undefined
}

/**
 * Gathers what `explainMiner` tells.
 *
 * @param who a miner's hotkey, or its uid
 * @returns undefined when the subnet has no such miner, and the last setting none either
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

/** A miner with a score had the uid of the setting, which another may have by now. */
function weightIn({ scores, uids, weights }: ReportedSetting, hotkey: string, uidNow: number | undefined): number {
  const uid = scores.find(each => each.hotkey === hotkey)?.uid ?? uidNow
  const isAnothers = scores.some(each => each.uid === uid && each.hotkey !== hotkey)
  return uid === undefined || isAnothers ? 0 : (weights[uids.indexOf(uid)] ?? 0)
}
