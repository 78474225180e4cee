/** Explains step by step how a miner's jobs became its weight, for a terminal. */
import { textTable } from '@horde/operator/command-line/text-table'
import { DEFAULT_CLASS } from '@horde/protocol/classes'
import { REASONS } from '@horde/protocol/reasons'
import type { ClassResult, MinerExplanation } from '../db/json-columns.ts'
import type { Handover } from '../weights/plan-weights.ts'
import type { MinerReport, ReportedJob, ReportedSetting } from './miner-report.ts'
import { classTable, count, decimals, originOf, percent } from './weights-table.ts'

const U16_MAX = 65_535

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

/** Tells that a uid has another hotkey now. The chain then ignores the weight: it is older than the registration. */
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
