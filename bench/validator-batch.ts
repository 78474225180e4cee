/** One batch of a validator on many miners: what a job costs, and whether the clock is fair. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { type OpenDatabase, openDatabase } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { startPostgres } from '@horde/testing/postgres'
import type { BatchReport } from '../packages/validator/src/batch/batch-part.ts'
import type { Benchmark } from '../packages/validator/src/benchmarks/benchmark.ts'
import { runBatch } from '../packages/validator/src/run-batch.ts'
import { plainErrors } from './network/plain-validator.ts'

const MINERS = fileURLToPath(new URL('network/many-miners.ts', import.meta.url))
/** Of the validator. */
export const MIGRATIONS = fileURLToPath(new URL('../packages/validator/drizzle', import.meta.url))
const HOST = '127.0.0.2'
/** As the validator's settings have them by default. */
const STARTS = { atOnce: 1_024, perSecond: 250 }
const LIMITS = {
  ...{ connectMs: 70_000, manifestMs: 5_000, acceptMs: 30_000, slowAcceptMs: 300_000 },
  ...{ readySlackMs: 120_000, resultGraceMs: 11_000 },
}

/** Miners and executors of each, in the order in which they are measured; the first is to warm up. */
const CROWDS = [
  [16, 1],
  [16, 4],
  [64, 4],
  [256, 1],
  [256, 4],
] as const

const WORD: Benchmark = {
  name: 'word',
  prepare: () => {
    const word = randomUUID()
    return {
      label: 'word',
      image: 'word',
      command: [word],
      timeoutSeconds: 30,
      referenceSeconds: 1,
      challenge: { word },
    }
  },
  verify: ({ word }, { stdout }) => ({ score: stdout === word ? 1 : 0, comment: '' }),
}

export interface BatchFigures {
  miners: number
  jobs: number
  /** Jobs that ended with a right answer. */
  right: number
  cpuMsPerJob: number
  peakMb: number
  /** From ready heard to work sent, in ms. */
  p50Ms: number
  p99Ms: number
  /** By how much the measured time differs from the miner's own, in ms. */
  worstErrorMs: number
  p50ErrorMs: number
  p99ErrorMs: number
  /** The same for bare sockets with the same miners right before: what the machine itself makes of it. */
  plainP50ErrorMs: number
  seconds: number
}

/** Measures one batch. */
export async function measureBatch(database: OpenDatabase, miners: number, executors: number): Promise<BatchFigures> {
  const process_ = spawn(process.execPath, [MINERS, String(executors)], { stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    const [port] = (await once(createInterface({ input: process_.stdout }), 'line')) as [string]
    const plain = await plainErrors(HOST, Number(port), miners, executors)
    const waits: number[] = []
    let peakBytes = 0
    const watch = setInterval(() => {
      peakBytes = Math.max(peakBytes, process.memoryUsage.rss())
    }, 50)
    const deps = depsOf(database, miners, Number(port), waits)
    const cpuBefore = process.cpuUsage()
    const from = performance.now()
    const report = await runBatch(request(), deps, new AbortController().signal)
    const seconds = (performance.now() - from) / 1000
    const { user, system } = process.cpuUsage(cpuBefore)
    clearInterval(watch)
    const errors = errorsOf(report)
    return {
      ...{ miners, jobs: report.jobs.length, right: report.jobs.filter(job => job.end?.rightAnswer).length, seconds },
      cpuMsPerJob: (user + system) / 1000 / report.jobs.length,
      peakMb: peakBytes / 2 ** 20,
      ...{ p50Ms: quantile(waits, 0.5), p99Ms: quantile(waits, 0.99) },
      ...{ worstErrorMs: Math.max(...errors), p50ErrorMs: quantile(errors, 0.5) },
      p99ErrorMs: quantile(errors, 0.99),
      plainP50ErrorMs: quantile(plain, 0.5),
    }
  } finally {
    process_.stdin.end()
    await once(process_, 'close')
  }
}

function request() {
  return {
    ...{ netuid: 1, allowPrivate: true, benchmark: WORD, scoring: { name: '2024' as const }, limits: LIMITS },
    ...{ starts: STARTS, maxJobsPerMiner: 64, gatherMs: 15_000, deadlineMs: 120_000, leaveOpen: false },
  }
}

function depsOf({ db }: OpenDatabase, miners: number, port: number, waits: number[]) {
  const neurons = Array.from({ length: miners }, (_, uid) => ({
    ...{ uid, hotkey: hotkeyFromUri(`//miner/${uid}`).ss58, coldkey: '', stakeRao: 0n, validatorPermit: false },
    ...{ lastUpdate: 0, axon: { ip: HOST, port, ipType: 4 as const, protocol: 4, version: 0, block: 1 } },
  }))
  return {
    chain: { metagraph: async (netuid: number) => ({ netuid, block: 1, neurons }) },
    ...{ hotkey: hotkeyFromUri('//Alice'), db, clock: systemClock, log: silentLog },
    onWorkSent: (ms: number) => void waits.push(ms),
  }
}

function errorsOf({ jobs }: BatchReport): number[] {
  return jobs.flatMap(({ end }) => (end?.seconds == null ? [] : [Math.abs(end.seconds * 1000 - Number(end.stderr))]))
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

/** Measures batches of growing size, on a Postgres of their own. */
export async function benchValidatorBatch(): Promise<void> {
  await using postgres = await startPostgres()
  await using database = await openDatabase({ url: await postgres.newDatabase(), migrationsFolder: MIGRATIONS })
  const rows: BatchFigures[] = []
  for (const [miners, executors] of CROWDS) rows.push(await measureBatch(database, miners, executors))
  const header = [
    'miners',
    'jobs',
    'right',
    'CPU ms/job',
    'peak MB',
    'p50 ms',
    'p99 ms',
    'wrong p99',
    'worst',
    'plain p50',
    's',
  ]
  const lines = rows.map(each => [
    ...[each.miners, each.jobs, each.right].map(String),
    ...[
      each.cpuMsPerJob,
      each.peakMb,
      each.p50Ms,
      each.p99Ms,
      each.p99ErrorMs,
      each.worstErrorMs,
      each.plainP50ErrorMs,
      each.seconds,
    ].map(figure => figure.toFixed(1)),
  ])
  const aligned = [header, ...lines].map(cells => cells.map(cell => cell.padStart(11)).join(''))
  process.stdout.write(`One batch, simulated miners, Postgres; p50, p99: ready to work\n${aligned.join('\n')}\n`)
}

if (import.meta.main) await benchValidatorBatch()
