/** Collects the data behind a miner's weight, and explains it step by step for a terminal. */

import type { Chain } from '@horde/chain/chain'
import { type Metagraph, neuronOf } from '@horde/chain/metagraph'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import { textTable } from '@horde/operator/command-line/text-table'
import { DEFAULT_CLASS } from '@horde/protocol/classes'
import { REASONS } from '@horde/protocol/reasons'
import type { ClassResult, MinerExplanation } from '../db/json-columns.ts'
import { minersJobs, newestSetting } from '../db/scores.ts'
import { type Handover, handoversIn } from '../weights/plan-weights.ts'
import { classTable, count, decimals, originOf, percent } from './weights-table.ts'

const U16_MAX = 65_535

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

/** Returns the explanation as text. */
export function explainMiner(report: MinerReport): string {
  const { hotkey, uid, setting, jobs } = report
  const head = `Miner ${hotkey}, ${uid === undefined ? 'which has left the subnet' : `uid ${uid}`}.\n`
  if (!setting) return `${head}No weights have been set yet.\n`
  const { explanation } = setting
  const own = explanation?.miners.find(each => each.hotkey === hotkey)
  return [
    head,
    settingSentence(setting),
    section('Its jobs in these batches', jobTable(jobs)),
    section('Its scores', resultTable(own)),
    scoreSentence(report),
    heldSentence(report),
    ...report.handovers.map(handoverSentence),
    section('How classes got their shares', classTable(explanation?.classes ?? [])),
  ].join('')
}

const section = (title: string, table: string) => (table === '' ? '' : `\n${title}\n${table}`)

function settingSentence(setting: ReportedSetting): string {
  const { id, state, basis, explanation, plannedAt, block, commitBlock } = setting
  const where = {
    planned: 'is being sent to the chain',
    committed: `is committed in block ${commitBlock} and will be revealed`,
    included: `is in block ${block}`,
    refused: 'was refused',
  }[state]
  return `Setting ${id}, planned at ${plannedAt.toISOString()}, ${where}. Its scores ${originOf(basis, explanation)}.\n`
}

function jobTable(jobs: readonly ReportedJob[]): string {
  if (jobs.length === 0) return 'none\n'
  const rows = jobs.map(job => [
    String(job.batchId),
    job.benchmark,
    job.executorClass ?? `${DEFAULT_CLASS} (no manifest)`,
    job.state,
    job.seconds === null ? '–' : job.seconds.toFixed(2),
    job.score === null ? 'excused' : job.score.toFixed(4),
    whyOf(job),
  ])
  return textTable([['batch', 'benchmark', 'class', 'state', 'seconds', 'score', 'why'], ...rows])
}

/** Returns why a job got its score. Removes control characters, since a comment may contain text from a miner. */
function whyOf({ reason, comment }: ReportedJob): string {
  const text = (comment ?? '').replaceAll(/\p{Cc}+/gu, ' ').trim()
  return [reason === null ? '' : REASONS[reason], text].filter(part => part !== '').join(' ')
}

function resultTable(own: MinerExplanation | undefined): string {
  if (!own) return 'none\n'
  const head = ['class', 'jobs', 'excused', 'sum', 'of its class', 'part of the score']
  const row = ({ name, jobs, excused, sum, ofClass, part }: ClassResult) => [
    name ?? 'all',
    String(jobs),
    String(excused),
    sum.toFixed(4),
    name === null ? '–' : percent(ofClass),
    decimals(part),
  ]
  return textTable([head, ...own.classes.map(row)])
}

function scoreSentence({ hotkey, setting, weight }: MinerReport): string {
  const score = setting?.scores.find(each => each.hotkey === hotkey)?.score ?? 0
  const all = setting?.scores.reduce((sum, each) => sum + each.score, 0) ?? 0
  const of = count(setting?.scores.length ?? 0, 'miner', 'miners')
  const share = all > 0 ? `, ${percent(score / all)} of the sum of ${of}` : ''
  return `\nIts score is ${decimals(score)}${share}. This gives a weight of ${weight} of ${U16_MAX}.\n`
}

/** Reports that a uid has another hotkey now. The chain then ignores the weight: it is older than the registration. */
function handoverSentence({ uid, from, to }: Handover): string {
  const who = `Uid ${uid} belonged to ${from} when these weights were computed, and belongs to ${to} now`
  return `${who}. The chain ignores weights that are older than a registration.\n`
}

function heldSentence({ held, setting, weight, uid }: MinerReport): string {
  if (held === undefined) return 'The chain holds no weight for a hotkey that has left.\n'
  if (held === weight && setting?.state === 'included')
    return `The chain holds ${held} for uid ${uid}, the same weight.\n`
  // The chain scales up a row whose largest weight is below 65535.
  return `The chain holds ${held} for uid ${uid}, where the largest weight is ${U16_MAX}.\n`
}
