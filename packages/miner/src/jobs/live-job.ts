/** A job that is being driven now, and the register of all of them. */
import { randomUUID } from 'node:crypto'
import { Inbox } from '@horde/kit/inbox'
import type { Clock } from '@horde/kit/time'
import type { JobState } from '@horde/protocol/job-state'
import type { ExecutorMessage } from '@horde/protocol/miner-executor'
import { uuidKey } from '@horde/protocol/primitives'
import type { Reason } from '@horde/protocol/reasons'
import type { V0InitialJobRequest, V0JobRequest } from '@horde/protocol/validator-miner'
import type { JobResult, JobRow } from '../db/schema.ts'
import type { Reservation } from '../horde/pool.ts'
import type { ValidatorSession } from '../validator-session.ts'
import { ExecutorLine } from './executor-line.ts'

/** What an executor says about its job. */
export type JobReport = Exclude<ExecutorMessage, { message_type: 'GenericError' }>

/** What a job's driver hears. */
export type JobWord =
  | { from: 'executor'; message: JobReport }
  | { from: 'executor'; connected: boolean }
  | { from: 'manager'; exited: string }
  | { from: 'validator'; message: V0JobRequest }

export class LiveJob {
  readonly id: number
  readonly validator: string
  readonly uuid: string
  readonly offer: V0InitialJobRequest
  readonly executorClass: string
  readonly token: string
  readonly reservation: Reservation
  readonly words: Inbox<JobWord>
  readonly executor = new ExecutorLine()
  state: JobState
  reason: Reason | undefined
  result: JobResult | undefined
  /** Whether its executor has been ready: what breaks before that is a failed preparation to its validator. */
  wasReady = false
  /** The work, once its validator has sent it. */
  work: V0JobRequest | undefined
  /** The connection that offered the job or sent its work: the one that its messages go to. */
  home: ValidatorSession
  /** Whether the end went out on the home connection. */
  delivered = false

  constructor(row: JobRow, offer: V0InitialJobRequest, home: ValidatorSession, reservation: Reservation, clock: Clock) {
    this.words = new Inbox({ clock })
    this.id = row.id
    this.validator = row.validator
    this.uuid = row.uuid
    this.executorClass = row.executorClass
    this.token = row.executorToken
    this.state = row.state
    this.offer = offer
    this.home = home
    this.reservation = reservation
  }

  /** From now on the job's messages go to this connection, which offered it or sent its work: its end too. */
  moveTo(session: ValidatorSession): void {
    if (this.home !== session) this.delivered = false
    this.home = session
  }
}

/** The only credential of an executor: good for this job alone. */
export function newExecutorToken(jobUuid: string): string {
  return `${jobUuid}-${randomUUID()}`
}

export class LiveJobs {
  readonly #byUuid = new Map<string, LiveJob>()
  readonly #byToken = new Map<string, LiveJob>()
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
    this.#byToken.set(job.token, job)
  }

  remove(job: LiveJob): void {
    this.#byUuid.delete(keyOf(job.validator, job.uuid))
    this.#byToken.delete(job.token)
  }

  find(validator: string, uuid: string): LiveJob | undefined {
    return this.#byUuid.get(keyOf(validator, uuid))
  }

  withToken(token: string): LiveJob | undefined {
    return this.#byToken.get(token)
  }

  of(validator: string): LiveJob[] {
    return [...this.#byUuid.values()].filter(job => job.validator === validator)
  }

  get size(): number {
    return this.#byUuid.size
  }
}

function keyOf(validator: string, uuid: string): string {
  return `${validator} ${uuidKey(uuid)}`
}
