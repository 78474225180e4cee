import { randomUUID } from 'node:crypto'
import { hotkeyFromUri } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import { createLog, type Log, silentLog } from '@horde/kit/log'
import type { BackoffOptions } from '@horde/kit/reconnect'
import { type Clock, systemClock } from '@horde/kit/time'
import type { ExecutorClass } from '@horde/protocol/classes'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import { jobUuid } from '@horde/protocol/primitives'
import type { ScriptedMiner } from '@horde/testing/peers/scripted-miner'
import { turnClock } from '@horde/testing/turn-clock'
import { eq } from 'drizzle-orm'
import { openBatch } from '../../src/batches/stored-batch.ts'
import type { Benchmark } from '../../src/benchmarks/benchmark.ts'
import { type StageLimits, syntheticJob } from '../../src/benchmarks/synthetic-job.ts'
import type { SignedReceipt } from '../../src/db/jobs.ts'
import { Journal } from '../../src/db/journal.ts'
import type { Work } from '../../src/db/json-columns.ts'
import { jobs } from '../../src/db/schema.ts'
import { KnownDialects } from '../../src/jobs/dialects/known-dialects.ts'
import { JobDriver } from '../../src/jobs/job-driver.ts'
import type { JobSpec, ResumedJob } from '../../src/jobs/job-spec.ts'
import { MinerConnection } from '../../src/jobs/miner-connection.ts'

export const VALIDATOR = hotkeyFromUri('//Alice')
export const MINER = hotkeyFromUri('//Bob')

/** Work whose right answer is "right". */
export const WORK: Work = {
  label: 'word',
  image: 'word:v0',
  command: ['say', 'right'],
  timeoutSeconds: 5,
  referenceSeconds: 1,
  challenge: { word: 'right' },
}

export const RIGHT: Benchmark = {
  name: 'word',
  prepare: () => WORK,
  verify: ({ word }, { stdout }) =>
    stdout === word ? { score: 1, comment: 'Right.' } : { score: 0, comment: 'Wrong.' },
}

/** Limits that are long enough for a busy machine. A test that waits for one of them shortens that one. */
export const PATIENT: StageLimits = {
  connectMs: 10_000,
  manifestMs: 20,
  acceptMs: 10_000,
  slowAcceptMs: 10_000,
  reservationMs: 10_000,
  readySlackMs: 10_000,
  resultGraceMs: 10_000,
}

export const AT_ONCE = { minMs: 1, maxMs: 1 }

/** Collects the lines of a log as objects. */
export function listeningLog(): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = []
  const log = createLog('validator', {
    level: 'debug',
    destination: { write: line => void lines.push(JSON.parse(line)) },
  })
  return { log, lines }
}

export interface DriveOptions {
  db: Database
  log: Log
  limits?: Partial<StageLimits>
  work?: Partial<Work>
  executorClass?: ExecutorClass
  resumed?: ResumedJob
  keepOpen?: boolean
  onWorkSent?: (waitedMs: number) => void
  /** When the job ends whatever its stage, in ms from now. */
  withinMs?: number
  maxFrameBytes?: number
  reconnect?: BackoffOptions
  signal?: AbortSignal
  clock?: Clock
  uuid?: string
  dialects?: KnownDialects
  startedIn?: Dialect
  /** What is different from a synthetic job. */
  spec?: Partial<JobSpec>
}

/** Knows no miner yet. */
export function unknownDialects(): KnownDialects {
  return new KnownDialects({ keptMs: 60_000, clock: systemClock, log: silentLog })
}

/** Drives one synthetic job on a miner. Returns how it ended, its row, and the receipts that were sent. */
export async function drive(miner: Pick<ScriptedMiner, 'address' | 'hotkey'>, options: DriveOptions) {
  const { db, log, withinMs = 20_000, signal = new AbortController().signal } = options
  using stack = new DisposableStack()
  const clock = options.clock ?? stack.use(turnClock())
  const uuid = jobUuid.parse(options.uuid ?? randomUUID())
  const now = new Date()
  const row = { uuid: uuid.toLowerCase(), minerHotkey: miner.hotkey.ss58, minerUid: 1, minerAddress: miner.address }
  await openBatch(db, { netuid: 1, benchmark: 'word', startedAt: now, deadline: now, jobs: [row] })
  const receipts: SignedReceipt[] = []
  await using connection = new MinerConnection({
    miner: { hotkey: miner.hotkey.ss58, address: miner.address },
    hotkey: VALIDATOR,
    dialects: options.dialects ?? unknownDialects(),
    startedIn: options.startedIn,
    onReceipt: receipt => void receipts.push(receipt),
    maxFrameBytes: options.maxFrameBytes ?? 100_000,
    reconnect: options.reconnect ?? AT_ONCE,
    clock,
    log,
    signal,
  })
  const { resumed, keepOpen = false, executorClass, onWorkSent } = options
  if (resumed) await db.update(jobs).set({ state: resumed.state }).where(eq(jobs.uuid, row.uuid))
  const synthetic = syntheticJob(
    {
      ...{ uuid, benchmark: RIGHT, work: { ...WORK, ...options.work }, executorClass, scoring: { name: '2024' } },
      ...{ limits: { ...PATIENT, ...options.limits }, endsAt: clock.monotonic() + withinMs, resumed, keepOpen },
    },
    log,
  )
  const job = { ...synthetic, ...options.spec }
  const end = await (async () => {
    await using journal = new Journal({ db, clock, log }, signal)
    using channel = connection.channel(uuid)
    return await new JobDriver(job, { channel, journal, clock, log, onWorkSent }, signal).drive()
  })()
  const [stored] = await db.select().from(jobs).where(eq(jobs.uuid, uuid.toLowerCase()))
  if (!stored) throw new Error('the job has no row')
  return { uuid, end, stored, receipts }
}
