/** Tells a miner about its job's course, where its dialect has messages for that: with receipts, in v2026. */
import type { Log } from '@horde/kit/log'
import { type Clock, withDeadline } from '@horde/kit/time'
import type { JobChannel } from '../job-channel.ts'
import type { JobSpec } from '../job-spec.ts'
import { stagedLimits, wholeSecondsOf } from '../timing/stage-limits.ts'
import type { JobNotice, JobTerms } from './miner-dialect.ts'

/** How long sending a notice may take, in ms. */
const NOTICE_MS = 2_000

export interface NoticeDeps {
  channel: Pick<JobChannel, 'notify'>
  clock: Clock
  log: Log
}

export class JobNotices {
  /** What the dialects say about the job beside its offer and its work. */
  readonly terms: JobTerms
  readonly #job: JobSpec
  readonly #deps: NoticeDeps
  /** When this process sent the offer, in ms since the epoch. */
  #offeredAt: number | undefined

  constructor(job: JobSpec, deps: NoticeDeps) {
    this.#job = job
    this.#deps = deps
    this.terms = {
      executorClass: job.executorClass,
      isOrganic: job.isOrganic,
      limits: stagedLimits(job.offer.limits, job.resultMs),
      areVolumesOffered: job.offer.volumes.length > 0,
      reservationSeconds: job.reservationMs / 1000,
    }
  }

  /** Whether this process has sent the offer. */
  get isOffered(): boolean {
    return this.#offeredAt !== undefined
  }

  offered(at: Date): void {
    this.#offeredAt = at.getTime()
  }

  /** Never rejects. */
  accepted(): Promise<void> {
    const { uuid: jobUuid, readyMs } = this.#job
    const mayTakeSeconds = wholeSecondsOf(this.terms.limits, readyMs)
    return this.#notify({ type: 'accepted', jobUuid, acceptedAt: this.#deps.clock.now(), mayTakeSeconds })
  }

  /** Tells the miner that the job has ended, if it was offered to it. Never rejects. */
  async ended(isFinished: boolean): Promise<void> {
    const endedAt = this.#deps.clock.now()
    const { uuid: jobUuid, resumed } = this.#job
    if (!this.isOffered && !resumed?.isOffered) return
    await this.#notify({ type: 'ended', jobUuid, startedAt: this.#offeredAt ?? endedAt, endedAt, isFinished })
  }

  /** The job goes on when the miner cannot be told. */
  async #notify(notice: JobNotice): Promise<void> {
    const { channel, clock, log } = this.#deps
    const sent = channel.notify(notice, this.terms)
    await withDeadline(sent, NOTICE_MS, 'sending to a miner', clock).catch(err => {
      log.debug({ err, jobUuid: this.#job.uuid, notice: notice.type }, 'miner was not told about its job')
    })
  }
}
