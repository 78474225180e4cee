/** A job that is being driven now, and the register of all of them. */
import { randomUUID } from 'node:crypto'
import type { Inbox } from '@horde/kit/socket/inbox'
import type { JobState } from '@horde/protocol/job-state'
import { uuidKey } from '@horde/protocol/primitives'
import type { Reason } from '@horde/protocol/reasons'
import type { V0InitialJobRequest, V0JobRequest } from '@horde/protocol/validator-miner'
import type { JobResult, JobRow } from '../db/schema.ts'
import type { StartedExecutor } from '../horde/manager.ts'
import type { LeavingExecutor } from '../horde/pools/leaving-executor.ts'
import type { Reservation } from '../horde/pools/pool.ts'
import type { ValidatorSession } from '../validator-session.ts'
import type { ExecutorLine, JobWord } from './executor-line.ts'
import { Home } from './news/home.ts'

/** The executor that a job has: its place in the horde, and the line to it. */
export type LiveExecutor = { reservation: Reservation; line: ExecutorLine }

export class LiveJob {
  readonly id: number
  readonly validator: string
  readonly uuid: string
  readonly offer: V0InitialJobRequest
  readonly executorClass: string
  readonly reservation: Reservation
  readonly executor: ExecutorLine
  readonly words: Inbox<JobWord>
  state: JobState
  reason: Reason | undefined
  result: JobResult | undefined
  /** Whether its executor has been ready: what breaks before that is a failed preparation to its validator. */
  wasReady: boolean
  /** The work, once its validator has sent it. */
  work: V0JobRequest | undefined
  /** Its executor runs for it and says that it has not got the work, which this miner has not either any more. */
  workLost = false
  readonly home: Home
  /** Set when its executor has said how the job ended: then it cleans up and leaves by itself, and its place is free. */
  leaving: LeavingExecutor | undefined
  /** Set when the job has ended: settles when its validator was told, which may take long. */
  endTold: Promise<void> | undefined
  /** Whether its validator has read the end on a home connection. */
  delivered = false
  /** Of a job that an earlier run of this miner began: its executor, when it was found running. */
  recovery: { executor: StartedExecutor | undefined } | undefined
  /** When the job came into its state, in ms since the epoch. */
  movedAt: number

  /** @param home undefined: the job was offered to an earlier run of this miner */
  constructor(row: JobRow, offer: V0InitialJobRequest, home: ValidatorSession | undefined, executor: LiveExecutor) {
    this.id = row.id
    this.validator = row.validator
    this.uuid = row.uuid
    this.executorClass = row.executorClass
    this.state = row.state
    this.movedAt = (row.startedAt ?? row.readyAt ?? row.offeredAt).getTime()
    this.wasReady = row.readyAt !== null
    this.offer = offer
    this.home = new Home(home)
    this.reservation = executor.reservation
    this.executor = executor.line
    this.executor.jobUuid = row.uuid
    this.words = executor.line.words
    this.work = row.work ?? undefined
  }

  /** From now on the job's messages go to this connection, which offered it or sent its work: its end too. */
  moveTo(session: ValidatorSession): void {
    if (!this.home.has(session)) this.delivered = false
    this.home.add(session)
  }
}

/** The only credential of an executor: good for this job alone. */
export function newExecutorToken(jobUuid: string): string {
  return `${jobUuid}-${randomUUID()}`
}

export class LiveJobs {
  readonly #byUuid = new Map<string, LiveJob>()
  readonly #turns = new Map<string, Promise<void>>()

  /** Runs what concerns one job of one validator after what was asked for earlier about the same job. */
  async inTurn(validator: string, uuid: string, work: () => Promise<void>): Promise<void> {
    const key = keyOf(validator, uuid)
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(work, work)
    this.#turns.set(key, turn)
    try {
      await turn
    } finally {
      if (this.#turns.get(key) === turn) this.#turns.delete(key)
    }
  }

  add(job: LiveJob): void {
    this.#byUuid.set(keyOf(job.validator, job.uuid), job)
  }

  remove(job: LiveJob): void {
    this.#byUuid.delete(keyOf(job.validator, job.uuid))
  }

  find(validator: string, uuid: string): LiveJob | undefined {
    return this.#byUuid.get(keyOf(validator, uuid))
  }

  of(validator: string): LiveJob[] {
    return [...this.#byUuid.values()].filter(job => job.validator === validator)
  }

  all(): LiveJob[] {
    return [...this.#byUuid.values()]
  }

  get size(): number {
    return this.#byUuid.size
  }
}

function keyOf(validator: string, uuid: string): string {
  return `${validator} ${uuidKey(uuid)}`
}
