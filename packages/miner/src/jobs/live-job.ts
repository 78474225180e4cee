/** A job that this process drives, and the register of all of them. */
import { randomUUID } from 'node:crypto'
import type { Inbox } from '@horde/kit/socket/inbox'
import { DEFAULT_CLASS, isExecutorClass } from '@horde/protocol/classes'
import type { JobWork } from '@horde/protocol/job/request'
import { isFinal } from '@horde/protocol/job-state'
import { uuidKey } from '@horde/protocol/primitives'
import type { JobStartedPayload } from '@horde/protocol/v2026/receipts/payloads'
import { workOf } from '../db/jobs.ts'
import type { JobRow } from '../db/schema.ts'
import type { DriverEvent, ExecutorChannel } from '../executors/executor-channel.ts'
import type { ChannelJob } from '../executors/executor-dialect.ts'
import type { StartedExecutor } from '../horde/manager.ts'
import type { LeavingExecutor, Reservation } from '../horde/pools/reservation.ts'
import type { DialectName } from '../validators/dialects/dialect.ts'
import type { ValidatorConnection } from '../validators/validator-connection.ts'
import { StoredJob } from './transition.ts'
import type { JobStep } from './validator-message.ts'

/** What is known of a job's executor when this process begins to drive the job. */
export type KnownExecutor =
  /** The executor runs. */
  | StartedExecutor
  /** The job has no executor yet. */
  | 'not started'
  /** The manager does not know whether it runs. */
  | 'unknown'
  /** The executor exited while no miner ran. */
  | 'gone'

/** How a job comes to be driven: just accepted, or stored by an earlier run of this miner. */
export type JobStart = {
  /** The connection that offered the job. Undefined for a job of an earlier run. */
  connection: ValidatorConnection | undefined
  executor: KnownExecutor
  /** Whether the executor was connected to an earlier run: it has the grace time to come back. */
  isAway: boolean
  /** How long the job has been in its state, in milliseconds. */
  stageAgeMs: number
}

export const NEW_JOB = { executor: 'not started', isAway: false, stageAgeMs: 0 } as const

/** The connections that offered a job or sent its work. */
export class Origin {
  #connections: ValidatorConnection[]

  /** Without a connection: the job is of an earlier run, and every connection was authenticated later. */
  constructor(connection?: ValidatorConnection) {
    this.#connections = connection ? [connection] : []
  }

  add(connection: ValidatorConnection): void {
    const others = this.#connections.filter(each => each !== connection && each.isOpen)
    this.#connections = [...others, connection]
  }

  has(connection: ValidatorConnection): boolean {
    return this.#connections.includes(connection)
  }

  /** The latest of those that are open: the one to send on. */
  get open(): ValidatorConnection | undefined {
    return this.#connections.findLast(({ isOpen }) => isOpen)
  }

  /**
   * When the validator lost the last of them, at the earliest, in ms of the monotonic clock. Infinite while that one is
   * open.
   */
  get lostAt(): number {
    return Math.max(
      Number.NEGATIVE_INFINITY,
      ...this.#connections.map(({ lostAt = Number.POSITIVE_INFINITY }) => lostAt),
    )
  }

  /** Connections with a higher number were authenticated later. */
  get number(): number {
    return this.#connections.at(-1)?.number ?? 0
  }
}

export class LiveJob extends StoredJob {
  readonly reservation: Reservation
  readonly channel: ExecutorChannel
  readonly events: Inbox<DriverEvent>
  readonly start: JobStart
  /** The dialect in which the job was offered. */
  readonly dialect: DialectName
  /** The work, once its validator has sent it. */
  work: JobWork | undefined
  /** The executor runs for the job but says that it lacks the work, and this miner lacks it too. */
  isWorkLost = false
  /** Which of its steps a running job has done, in order. */
  readonly steps: JobStep[] = []
  /** Connections of its validator that have not authenticated, and are only told of it. */
  readonly listeners = new Set<ValidatorConnection>()
  /** The connections that the job's messages go to. */
  readonly origin: Origin
  /** Set when the executor has reported the end: it cleans up and leaves by itself, and its slot is free. */
  leaving: LeavingExecutor | undefined
  /** Set when the job has ended: settles once the validator was sent the end, which may take long. */
  endSent: Promise<void> | undefined
  /** Whether the validator has read the end on a connection of the job's origin. */
  isDelivered = false

  constructor(row: JobRow, executor: { reservation: Reservation; channel: ExecutorChannel }, start: JobStart) {
    super(row)
    this.start = start
    this.origin = new Origin(start.connection)
    this.reservation = executor.reservation
    this.channel = executor.channel
    this.channel.jobUuid = row.uuid
    this.channel.job = channelJobOf(row, executor.reservation.speaks)
    this.events = executor.channel.events
    this.work = workOf(row)
    this.dialect = row.offer === null ? 'v0' : 'v2026'
  }

  /** Whether an earlier run of this miner accepted the job. */
  get isResumed(): boolean {
    return this.start.connection === undefined
  }

  /** Whether there is nothing left to drive. */
  get isOver(): boolean {
    return this.isDropped || isFinal(this.state)
  }

  /** Sends the job's further messages, its end included, to a connection that has offered it again or sent its work. */
  moveTo(connection: ValidatorConnection): void {
    if (!this.origin.has(connection)) this.isDelivered = false
    this.origin.add(connection)
  }
}

/** Executors of v2026 read a receipt with the offer, and do not check it: an offer of v0 has none, and gets an empty one. */
function channelJobOf({ uuid, executorClass, offer, validator }: JobRow, speaks: DialectName | undefined): ChannelJob {
  const receipt = offer && { payload: offer.receipt.payload, signature: offer.receipt.validatorSignature }
  return {
    receipt: receipt ?? { payload: emptyReceipt(uuid, executorClass, validator), signature: '0x' },
    executorClass,
    hasOfferedVolumes: offer !== null && offer.volumes?.length !== 0,
    dialect: offer === null ? 'v0' : 'v2026',
    speaks,
  }
}

function emptyReceipt(uuid: string, executorClass: string, validator: string): JobStartedPayload {
  return {
    receipt_type: 'JobStartedReceipt',
    job_uuid: uuidKey(uuid),
    miner_hotkey: '',
    validator_hotkey: validator,
    timestamp: '2000-01-01T00:00:00Z',
    executor_class: isExecutorClass(executorClass) ? executorClass : DEFAULT_CLASS,
    is_organic: false,
    ttl: 0,
  }
}

/** The only credential of an executor: good for this job alone. */
export function newExecutorToken(jobUuid: string): string {
  return `${jobUuid}-${randomUUID()}`
}

export class LiveJobs {
  readonly #byUuid = new Map<string, LiveJob>()
  readonly #tasks = new Map<string, Promise<void>>()

  /** Runs tasks about one job of one validator one after the other, in the order of the calls. */
  async oneAtATime(validator: string, uuid: string, work: () => Promise<void>): Promise<void> {
    const key = keyOf(validator, uuid)
    const task = (this.#tasks.get(key) ?? Promise.resolve()).then(work, work)
    this.#tasks.set(key, task)
    try {
      await task
    } finally {
      if (this.#tasks.get(key) === task) this.#tasks.delete(key)
    }
  }

  add(job: LiveJob): void {
    this.#byUuid.set(keyOf(job.validator, job.uuid), job)
  }

  /** Does nothing when another job has taken the same key since. */
  remove(job: LiveJob): void {
    const key = keyOf(job.validator, job.uuid)
    if (this.#byUuid.get(key) === job) this.#byUuid.delete(key)
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
