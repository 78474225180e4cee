/** Runs a validator's jobs on the miner, several at once, and checks every answer. */
import { randomUUID } from 'node:crypto'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { LARGE_FRAME_BYTES } from '@horde/protocol/frame'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import { NO_UPLOADS } from '@horde/protocol/job/uploads'
import { jobUuid } from '@horde/protocol/primitives'
import { EMPTY_ZIP_BASE64 } from '@horde/protocol/v0/job'
import { openBatch } from '../../packages/validator/src/batches/stored-batch.ts'
import type { JobResult } from '../../packages/validator/src/db/jobs.ts'
import { Journal } from '../../packages/validator/src/db/journal.ts'
import { KnownDialects } from '../../packages/validator/src/jobs/dialects/known-dialects.ts'
import type { JobChannel } from '../../packages/validator/src/jobs/job-channel.ts'
import { JobDriver } from '../../packages/validator/src/jobs/job-driver.ts'
import type { JobSpec } from '../../packages/validator/src/jobs/job-spec.ts'
import { MinerConnection } from '../../packages/validator/src/jobs/miner-connection.ts'
import type { Random } from '../soak/random.ts'

/** How long a job may take from its offer to its end, in ms. A miner that is killed again and again needs long. */
const JOB_MS = 300_000
/**
 * How long the validator waits for the answer to an offer, in ms. It offers a job only once, as a v0 validator does, so
 * an answer that is lost with its connection stays lost.
 */
const ACCEPT_MS = 15_000
/** How long a job's script sleeps at most, in seconds. */
const LONGEST_SLEEP_SECONDS = 3
const TIMEOUT_SECONDS = 60
/** The pause after an offer that was not accepted, in ms. */
const PAUSE_MS = 500
/** Messages that show that the miner accepted a job. The first may be lost with its connection. */
const ACCEPTING = ['accept', 'ready']
const RECONNECT = { minMs: 100, maxMs: 1_000, factor: 2, jitterMs: 100 }

export interface JobOutcome {
  uuid: string
  /** The one that its connection spoke. */
  dialect: Dialect
  end: JobResult
  wasAccepted: boolean
  /** Whether the job's stdout is its own answer, not another job's. */
  isRight: boolean
  /** From the offer to the end. */
  seconds: number
}

export interface ValidatorDeps {
  key: Hotkey
  minerHotkey: string
  /** host:port */
  address: string
  db: Database
  /** It offers its jobs in these in turn. */
  dialects: readonly Dialect[]
  /** Whether it opens a connection for each job of v0, as a v0 validator does. */
  connectsPerJob: boolean
  random: Random
}

/** Runs jobs, `jobsAtOnce` at a time, until `isEnough` returns true. Calls `onEnd` for each. */
export async function runJobs(
  deps: ValidatorDeps,
  jobsAtOnce: number,
  isEnough: () => boolean,
  onEnd: (job: JobOutcome) => void,
  signal: AbortSignal,
): Promise<void> {
  const sharesOne = deps.dialects.includes('v0') && !deps.connectsPerJob
  await using shared = sharesOne ? connect(deps, 'v0', signal) : undefined
  let begun = 0
  const work = async () => {
    while (!isEnough() && !signal.aborted) {
      const dialect = deps.dialects[begun % deps.dialects.length] as Dialect
      begun += 1
      const job = await runJob(deps, dialect, dialect === 'v0' ? shared : undefined, signal)
      onEnd(job)
      if (!job.wasAccepted) await systemClock.sleep(PAUSE_MS, signal)
    }
  }
  await Promise.all(Array.from({ length: jobsAtOnce }, work))
}

/** The connection speaks this dialect from the start, as one of jobs that began in it does. */
function connect({ key, minerHotkey, address }: ValidatorDeps, dialect: Dialect, signal: AbortSignal): MinerConnection {
  return new MinerConnection({
    miner: { hotkey: minerHotkey, address },
    hotkey: key,
    startedIn: dialect,
    dialects: new KnownDialects({ keptMs: JOB_MS, clock: systemClock, log: silentLog }),
    maxFrameBytes: LARGE_FRAME_BYTES,
    reconnect: RECONNECT,
    attempts: Number.POSITIVE_INFINITY,
    clock: systemClock,
    log: silentLog,
    signal,
  })
}

async function runJob(
  deps: ValidatorDeps,
  dialect: Dialect,
  shared: MinerConnection | undefined,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const { db, minerHotkey, address, random } = deps
  const uuid = jobUuid.parse(randomUUID())
  await using own = shared ? undefined : connect(deps, dialect, signal)
  using channel = (shared ?? (own as MinerConnection)).channel(uuid)
  const row = { uuid, minerHotkey, minerUid: 1, minerAddress: address }
  const now = new Date()
  await openBatch(db, { netuid: 1, benchmark: 'chaos', startedAt: now, deadline: now, jobs: [row] })
  const from = performance.now()
  const answer = `answer ${uuid}`
  const job = jobSpec(uuid, answer, random() * LONGEST_SLEEP_SECONDS)
  let wasAccepted = false
  let spoken = dialect
  const next: JobChannel['next'] = async (ms, aborted) => {
    const event = await channel.next(ms, aborted)
    if (event?.type === 'connected') spoken = event.dialect
    if (event?.type === 'message' && ACCEPTING.includes(event.report.type)) wasAccepted = true
    return event
  }
  const watchedChannel = { ...channel, next }
  await using journal = new Journal({ db, clock: systemClock, log: silentLog }, signal)
  const driver = new JobDriver(job, { channel: watchedChannel, journal, clock: systemClock, log: silentLog }, signal)
  const end = await driver.drive()
  if (!end) throw new Error('another process finalised a job of this validator')
  const isRight = end.stdout?.trim() === answer
  return { uuid, dialect: spoken, end, wasAccepted, isRight, seconds: (performance.now() - from) / 1000 }
}

function jobSpec(uuid: JobSpec['uuid'], answer: string, sleepSeconds: number): JobSpec {
  const executorClass = 'always_on.test' as const
  const script = `import time\ntime.sleep(${sleepSeconds.toFixed(2)})\nprint(${JSON.stringify(answer)})`
  return {
    uuid,
    executorClass,
    isOrganic: false,
    offer: {
      type: 'offer',
      jobUuid: uuid,
      executorClass,
      image: null,
      limits: { kind: 'run', seconds: TIMEOUT_SECONDS },
      isStreaming: false,
      volumeKind: 'inline-zip',
      volumes: [],
    },
    work: {
      type: 'work',
      jobUuid: uuid,
      image: null,
      script,
      preset: 'none',
      args: [],
      env: {},
      volumes: [{ kind: 'inline-zip', base64: EMPTY_ZIP_BASE64, folder: null }],
      uploads: NO_UPLOADS,
      artifactsFolder: null,
    },
    judge: result => ({
      score: 0,
      rightAnswer: result.type === 'finish',
      reason: null,
      comment: null,
    }),
    unanswered: { score: 0, rightAnswer: false, comment: null },
    connectMs: JOB_MS,
    acceptMs: ACCEPT_MS,
    reservationMs: ACCEPT_MS,
    readyMs: JOB_MS,
    resultMs: JOB_MS,
    endsAt: performance.now() + JOB_MS,
  }
}
