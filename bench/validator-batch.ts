/**
 * Measures one batch of a validator on many simulated miners: the cost of a job, and how exact the measured times are.
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { type OpenDatabase, openDatabase } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { DIALECTS, type Dialect } from '@horde/protocol/handshake/dialects'
import { startPostgres } from '@horde/testing/postgres'
import type { BatchReport } from '../packages/validator/src/batches/drive-batch.ts'
import { runBatch } from '../packages/validator/src/batches/run-batch.ts'
import type { Benchmark } from '../packages/validator/src/benchmarks/benchmark.ts'
import { KnownDialects } from '../packages/validator/src/jobs/dialects/known-dialects.ts'
import { liveMibAtRest, peakLiveMib } from './live-heap.ts'
import { bareSocketErrors } from './network/bare-socket-validator.ts'

const MINERS = fileURLToPath(new URL('network/many-miners.ts', import.meta.url))
/** The validator's migrations. */
export const MIGRATIONS = fileURLToPath(new URL('../packages/validator/drizzle', import.meta.url))
const HOST = '127.0.0.2'
const LEGEND =
  'One batch on simulated miners. Wait: ready received to work sent, ms. ' +
  "Error: measured time against the miner's own, ms. Bare: the error of bare sockets, ms."
/** The defaults of the validator's settings. */
const STARTS = { atOnce: 1_024, perSecond: 250 }
const LIMITS = {
  ...{ connectMs: 70_000, manifestMs: 5_000, acceptMs: 30_000, slowAcceptMs: 300_000, reservationMs: 7_000 },
  ...{ readySlackMs: 120_000, resultGraceMs: 11_000 },
}

/** The number of miners, and of executors on each, in the order of measurement. The first one warms up. */
const SIZES = [
  [16, 1],
  [16, 4],
  [64, 4],
  [256, 1],
  [256, 4],
] as const
/** The size whose memory is measured. */
const LARGEST = { miners: 256, executors: 4 }

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
  dialect: Dialect
  miners: number
  jobs: number
  /** Jobs with a right answer. */
  right: number
  cpuMsPerJob: number
  /** From ready received to work sent, in ms. */
  p50Ms: number
  p99Ms: number
  /** The difference between the time that the validator measured and the time that the miner did, in ms. */
  worstErrorMs: number
  p50ErrorMs: number
  p99ErrorMs: number
  /** The same difference for bare sockets, measured with the same miners just before: the machine's own share of it. */
  bareP50ErrorMs: number
  seconds: number
}

/** Live memory of the validator, in MiB. */
export interface BatchMemory {
  before: number
  peak: number
  after: number
}

export type BatchSize = { dialect: Dialect; miners: number; executors: number }

/** Measures the times of one batch on miners of a dialect. */
export async function measureBatch(database: OpenDatabase, size: BatchSize): Promise<BatchFigures> {
  const { dialect, miners, executors } = size
  await using simulator = await startMiners(dialect, executors)
  const bareErrors = await bareSocketErrors(HOST, simulator.port, dialect, miners, executors)
  const waits: number[] = []
  const deps = depsOf(database, miners, simulator.port, waits)
  const cpuBefore = process.cpuUsage()
  const from = performance.now()
  const report = await runBatch(request(), deps, new AbortController().signal)
  const seconds = (performance.now() - from) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  const errors = errorsOf(report)
  return {
    ...{ dialect, miners, seconds, jobs: report.jobs.length },
    right: report.jobs.filter(job => job.end?.rightAnswer).length,
    cpuMsPerJob: (user + system) / 1000 / report.jobs.length,
    ...{ p50Ms: quantile(waits, 0.5), p99Ms: quantile(waits, 0.99) },
    ...{ worstErrorMs: Math.max(...errors), p50ErrorMs: quantile(errors, 0.5) },
    p99ErrorMs: quantile(errors, 0.99),
    bareP50ErrorMs: quantile(bareErrors, 0.5),
  }
}

/** Runs the smallest batch without measuring it. The first batch of a process loads and compiles code. */
export async function warmUp(database: OpenDatabase): Promise<void> {
  const [miners, executors] = SIZES[0]
  await using simulator = await startMiners('v2026', executors)
  await runBatch(request(), depsOf(database, miners, simulator.port, []), new AbortController().signal)
}

/** Measures the memory of one batch. Run another batch before: the first one loads and compiles code. */
export async function measureMemory(database: OpenDatabase, size: BatchSize): Promise<BatchMemory> {
  const { dialect, miners, executors } = size
  await using simulator = await startMiners(dialect, executors)
  const deps = depsOf(database, miners, simulator.port, [])
  const before = await liveMibAtRest()
  const peak = await peakLiveMib(() => runBatch(request(), deps, new AbortController().signal))
  return { before, peak, after: await liveMibAtRest() }
}

/** Starts the process of the simulated miners. Disposing of it waits for its end. */
async function startMiners(dialect: Dialect, executors: number): Promise<AsyncDisposable & { port: number }> {
  const args = [MINERS, String(executors), '--dialect', dialect]
  const simulator = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const [port] = (await once(createInterface({ input: simulator.stdout }), 'line')) as [string]
  const stop = async () => {
    simulator.stdin.end()
    await once(simulator, 'close')
  }
  return { port: Number(port), [Symbol.asyncDispose]: stop }
}

function request() {
  return {
    ...{ netuid: 1, allowPrivate: true, benchmark: WORD, scoring: { name: '2024' as const }, limits: LIMITS },
    ...{ starts: STARTS, maxJobsPerMiner: 64, gatherMs: 15_000, deadlineMs: 120_000, keepOpen: false },
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
    dialects: new KnownDialects({ keptMs: 3_600_000, clock: systemClock, log: silentLog }),
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

function memoryLine(dialect: Dialect, { before, peak, after }: BatchMemory): string {
  const { miners, executors } = LARGEST
  const [first, most, last] = [before, peak, after].map(mib => mib.toFixed(1))
  const jobs = miners * executors
  return `Live memory of ${jobs} jobs on ${miners} miners of ${dialect}, MiB: before ${first}, at most ${most}, after ${last}.`
}

/** Measures batches of growing size with a private Postgres, on miners of each dialect, and prints the table. */
export async function benchValidatorBatch(dialects: readonly Dialect[]): Promise<void> {
  await using postgres = await startPostgres()
  await using database = await openDatabase({ url: await postgres.newDatabase(), migrationsFolder: MIGRATIONS })
  const rows: BatchFigures[] = []
  for (const [miners, executors] of SIZES) {
    for (const dialect of dialects) rows.push(await measureBatch(database, { dialect, miners, executors }))
  }
  const memories: string[] = []
  for (const dialect of dialects) {
    memories.push(memoryLine(dialect, await measureMemory(database, { dialect, ...LARGEST })))
  }
  const header = [
    ...['dialect', 'miners', 'jobs', 'right', 'CPU ms/job', 'wait p50', 'wait p99'],
    ...['error p99', 'error max', 'bare p50', 'seconds'],
  ]
  const lines = rows.map(each => [
    ...[each.dialect, each.miners, each.jobs, each.right].map(String),
    ...[
      each.cpuMsPerJob,
      each.p50Ms,
      each.p99Ms,
      each.p99ErrorMs,
      each.worstErrorMs,
      each.bareP50ErrorMs,
      each.seconds,
    ].map(figure => figure.toFixed(1)),
  ])
  const aligned = [header, ...lines].map(cells => cells.map(cell => cell.padStart(11)).join(''))
  process.stdout.write(`${LEGEND}\n${aligned.join('\n')}\n${memories.join('\n')}\n`)
}

if (import.meta.main) await benchValidatorBatch(DIALECTS)
