import { SocketClosedError } from '@horde/kit/socket'
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'
import { advance, type FinalState, isFinal, type JobEvent, type JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import type { ValidatorMessage } from '@horde/protocol/validator-miner'
import type { JobResult } from '../db/jobs.ts'
import type { HostMoment } from '../db/schema.ts'
import type { Conversation, JobWord, LinkEvent, Manifest } from '../miner/link.ts'
import { type HostClock, NO_MOMENT } from './host-clock.ts'
import { JobRecord, type Move, type RecordDeps } from './job-record.ts'
import type { JobEnd, JobPlan, JobToDrive, ResultWord, Verdict } from './job-to-drive.ts'

export interface CourseDeps extends RecordDeps {
  talk: Conversation
  clock: Clock
  /** Told how long a ready executor waited for its work, in ms: from its frame's arrival until the kernel had the work. */
  onWorkSent?: ((waitedMs: number) => void) | undefined
  /** Waited for before anything is sent: resolves when this process may act on the job. */
  whenLocked?: (() => Promise<void>) | undefined
  hostClock?: HostClock | undefined
}

/** The reason for a stage's time-out, for a miner that is connected. */
const SILENCE = {
  offered: 'no-answer',
  accepted: 'prepare-timed-out',
  ready: 'work-not-sent',
  running: 'run-timed-out',
} as const satisfies Partial<Record<JobState, Reason>>

/**
 * A job on its way: its state, and what has been said on which connection. It waits for the database at its end alone: no
 * miner is to pay for a slow one.
 */
export class Course {
  readonly #job: JobToDrive
  readonly #deps: CourseDeps
  readonly #signal: AbortSignal
  readonly #record: JobRecord
  /** Ends a wait for the miner. */
  readonly #waits: AbortSignal
  #plan: JobPlan | undefined
  #connected = false
  /** When the stage ends unless the job ends first, in ms of the monotonic clock. */
  #limit: number
  #isHeldBack = false
  #workSaidOn = 0
  /** When the kernel first had the work. A miner that asks for it again does not start the clock again. */
  #workAt: number | undefined
  /** An earlier process may have sent the work: when, or whether its answer came while nobody listened, nobody knows. */
  #isTimeUnknown = false
  /** When an earlier process sent the work: counts once the miner has said that it still works. */
  #workAtBefore: number | undefined

  constructor(job: JobToDrive, deps: CourseDeps, signal: AbortSignal) {
    this.#job = job
    this.#deps = deps
    this.#signal = signal
    this.#limit = deps.clock.monotonic() + job.connectMs
    this.#record = new JobRecord(job.uuid, deps, job.left?.state)
    this.#waits = AbortSignal.any([signal, this.#record.endedElsewhere])
    this.#isTimeUnknown = this.#state === 'ready' || this.#state === 'running'
    this.#workAtBefore = this.#state === 'running' ? job.left?.workAt : undefined
  }

  get #state(): JobState {
    return this.#record.state
  }

  /** Says the offer, once, unless it was said before a restart. Gives the end when that is not possible. */
  async offer(): Promise<JobEnd | undefined> {
    let manifest: Manifest | undefined
    for (;;) {
      const event = await this.#next()
      if (this.#record.endedElsewhere.aborted) return this.#abandon()
      if (event === undefined) return this.endByMishap('timed out', 'no-connection')
      if (event.type === 'over') return this.#endByLink(event.refused, 'no-connection')
      if (event.type === 'complained') this.#record.note({ complaint: event.text })
      if (event.type !== 'connected') continue
      manifest ??= await this.#hearManifest()
      this.#plan ??= this.#job.plan(manifest)
      this.#connected = true
      if (!this.#isOfferDue()) return undefined
      if ((await this.#say(this.#plan.offer)) === undefined) continue
      const { executorClass, offer } = this.#plan
      const { base_docker_image_name: image } = offer
      this.#record.note({ executorClass: executorClass ?? null, image, offeredAt: this.#wallTime() })
      return undefined
    }
  }

  /** Hears what the miner makes of the offer, until the job has ended. */
  async follow(): Promise<JobEnd> {
    this.#allow(this.#stageMs())
    for (;;) {
      const event = await this.#next()
      if (this.#record.endedElsewhere.aborted) return this.#abandon()
      if (event === undefined && this.#waitOn()) continue
      if (event === undefined) return this.#endBySilence()
      if (event.type === 'over') return this.#endByLink(event.refused && this.#state === 'offered', 'connection-lost')
      if (event.type === 'connected' || event.type === 'lost') this.#connected = event.type === 'connected'
      if (event.type === 'complained') this.#record.note({ complaint: event.text })
      const end = event.type === 'said' ? await this.#hear(event) : undefined
      if (end) return end
    }
  }

  /** Ends the job by something that no message said. */
  endByMishap(event: JobEvent, reason: Reason): Promise<JobEnd> {
    return this.#end(event, { ...this.#job.unanswered, reason })
  }

  /** The offer of a job that was left behind asks what has become of it: a result that was said to a dying process is said again. */
  #isOfferDue(): boolean {
    const { left } = this.#job
    return left === undefined || left.repeatOffer
  }

  /** How long the stage that the job is in may take. */
  #stageMs(): number {
    if (this.#state === 'offered') return this.#job.acceptMs
    return (this.#state === 'accepted' ? this.#plan?.readyMs : this.#plan?.resultMs) ?? 0
  }

  /** Whether the answer to the offer is waited for beyond its usual time. */
  #waitOn(): boolean {
    const { slowAcceptMs, acceptMs, endsAt, onHeldBack } = this.#job
    if (this.#state !== 'offered' || this.#isHeldBack || slowAcceptMs === undefined || slowAcceptMs <= acceptMs)
      return false
    if (this.#deps.clock.monotonic() >= endsAt) return false
    this.#isHeldBack = true
    this.#limit += slowAcceptMs - acceptMs
    onHeldBack?.()
    return true
  }

  async #hearManifest(): Promise<Manifest | undefined> {
    if (this.#job.manifestMs === 0) return undefined
    const until = this.#deps.clock.monotonic() + this.#job.manifestMs
    for (;;) {
      const event = await this.#deps.talk.next(this.#left(until), this.#signal)
      if (event?.type === 'manifest') return event.manifest
      if (event === undefined || event.type === 'over' || event.type === 'lost') return undefined
      if (this.#deps.clock.monotonic() >= until) return undefined
    }
  }

  /** The connection that took the message; undefined when it was lost first, or the stage ended. */
  async #say(message: ValidatorMessage): Promise<number | undefined> {
    const { talk, clock } = this.#deps
    await this.#waitForLock()
    try {
      return await withDeadline(talk.say(message), this.#left(this.#until()), 'saying to a miner', clock)
    } catch (error) {
      if (error instanceof SocketClosedError || error instanceof DeadlineError) return undefined
      throw error
    }
  }

  /** A stage is longer by the time for which nothing could be sent. */
  async #waitForLock(): Promise<void> {
    const { clock, whenLocked } = this.#deps
    if (!whenLocked) return
    const from = clock.monotonic()
    await whenLocked()
    this.#limit += clock.monotonic() - from
  }

  async #hear({ word, connection, at }: LinkEvent & { type: 'said' }): Promise<JobEnd | undefined> {
    const event = word.message_type
    // Ready implies that it was accepted: on a new connection a miner says it again, and not what came before.
    if (event === 'V0ExecutorReadyRequest' && this.#state === 'offered') this.#move('V0AcceptJobRequest')
    if (this.#job.left && (event === 'V0JobFinishedRequest' || event === 'V0JobFailedRequest')) this.#catchUp()
    const to = advance(this.#state, event)
    if (to !== this.#state && to !== 'broken') this.#deps.talk.moved(connection)
    if (isFinal(to)) return this.#endByWord(word, to, at)
    if (event === 'V0ExecutorReadyRequest') await this.#getReady(connection, at)
    if (event === 'V0AcceptJobRequest') this.#goOnMeasuring()
    if (event === 'V0AcceptJobRequest' && to !== this.#state) {
      // From the message's arrival: a slow validator would give a miner more time than its class has.
      this.#allow(this.#plan?.readyMs ?? 0, at)
      this.#move(event)
    }
    return undefined
  }

  /**
   * A miner that accepts a job again has not ended it yet: what it answers from now on comes while this process listens, and
   * was asked for at a moment that is known.
   */
  #goOnMeasuring(): void {
    if (this.#workAtBefore === undefined) return
    this.#workAt = this.#workAtBefore
    this.#isTimeUnknown = false
  }

  /** A result of a job that was left behind: its work was sent by the process before, which could not save that any more. */
  #catchUp(): void {
    if (this.#workAt !== undefined) return
    this.#isTimeUnknown = true
    if (this.#state === 'offered') this.#move('V0AcceptJobRequest')
    if (this.#state === 'accepted') this.#move('V0ExecutorReadyRequest')
    if (this.#state === 'ready') this.#move('V0JobRequest')
  }

  /** Sends the work, before anything is saved. A ready heard again on another connection means that it was lost. */
  async #getReady(connection: number, heardAt: number): Promise<void> {
    const readyAt = this.#wallTime()
    if (this.#state === 'accepted') this.#allow(this.#plan?.resultMs ?? 0)
    const sentAt = connection > this.#workSaidOn ? await this.#sendWork(connection, heardAt) : undefined
    if (this.#job.left?.state === 'running' && sentAt !== undefined) this.#forgetMeasuring()
    if (this.#state === 'accepted') {
      this.#move('V0ExecutorReadyRequest', readyAt, { onSaved: () => this.#job.onReady?.() })
    }
    if (this.#state === 'ready' && sentAt !== undefined)
      this.#move('V0JobRequest', sentAt, { workSent: this.#sentMoment() })
  }

  /** The work was lost with the process that sent it: no miner is to pay for that, nor to have a head start. */
  #forgetMeasuring(): void {
    this.#workAtBefore = undefined
    this.#isTimeUnknown = true
    this.#record.note({ workSent: NO_MOMENT })
  }

  #sentMoment(): HostMoment | undefined {
    return this.#workAt === undefined || this.#isTimeUnknown ? undefined : this.#deps.hostClock?.said(this.#workAt)
  }

  async #sendWork(connection: number, heardAt: number): Promise<Date | undefined> {
    if (!this.#plan) return undefined
    this.#workSaidOn = connection
    const saidOn = await this.#say(this.#plan.work)
    if (saidOn === undefined) return undefined
    this.#workSaidOn = saidOn
    if (this.#workAt === undefined) {
      this.#workAt = this.#deps.clock.monotonic()
      this.#allow(this.#plan.resultMs)
      this.#deps.onWorkSent?.(this.#workAt - heardAt)
    }
    return this.#wallTime()
  }

  #endByWord(word: JobWord, to: FinalState, at: number): Promise<JobEnd> {
    const { message_type: event } = word
    if (event === 'V0JobFinishedRequest' || event === 'V0JobFailedRequest') {
      if (this.#workAt !== undefined && at < this.#workAt && !this.#isTimeUnknown) {
        // It answers what nobody has asked yet; or what a process before this one had asked.
        if (!this.#job.left) return this.#end(event, { ...this.#job.unanswered, reason: 'out-of-order' })
        this.#isTimeUnknown = true
      }
      if (to !== 'broken' && (this.#workAt !== undefined || this.#isTimeUnknown)) {
        return this.#endByResult(word as ResultWord, this.#secondsUntil(at))
      }
    }
    const { unanswered } = this.#job
    if (to === 'rejected') return this.#end(event, { ...unanswered, reason: 'declined' })
    // After a lost connection Python miners say a failed preparation as a failed job.
    const unprepared = event === 'V0ExecutorFailedRequest' || event === 'V0JobFailedRequest'
    return this.#end(event, { ...unanswered, reason: unprepared ? 'prepare-failed' : 'out-of-order' })
  }

  /** From the work's sending to a result that arrived at this moment, where this process sent it, in seconds. */
  #secondsUntil(at: number): number | undefined {
    return this.#workAt === undefined || this.#isTimeUnknown ? undefined : (at - this.#workAt) / 1000
  }

  #endByResult(word: ResultWord, seconds: number | undefined): Promise<JobEnd> {
    return this.#end(word.message_type, this.#job.judge(word, seconds), { seconds, word })
  }

  #endBySilence(): Promise<JobEnd> {
    const reason = this.#connected ? SILENCE[this.#state as keyof typeof SILENCE] : 'connection-lost'
    return this.endByMishap('timed out', reason)
  }

  #endByLink(refused: boolean, otherwise: Reason): Promise<JobEnd> {
    return this.endByMishap('connection lost', refused ? 'not-authorized' : otherwise)
  }

  async #end(
    event: JobEvent,
    verdict: Verdict,
    said?: { seconds: number | undefined; word: ResultWord },
  ): Promise<JobEnd> {
    const result: JobResult = {
      ...verdict,
      seconds: said?.seconds ?? null,
      exitStatus: said && 'docker_process_exit_status' in said.word ? said.word.docker_process_exit_status : null,
      stdout: said?.word.docker_process_stdout ?? null,
      stderr: said?.word.docker_process_stderr ?? null,
    }
    this.#move(event, this.#wallTime(), { result })
    if (!(await this.#record.allSaved())) return this.#abandon()
    return {
      ...result,
      state: this.#state as FinalState,
      executorClass: this.#plan?.executorClass,
      word: said?.word ?? null,
    }
  }

  /** Somebody else has ended the job's row: it stays as it is. */
  #abandon(): JobEnd {
    const { uuid: jobUuid, unanswered } = this.#job
    this.#deps.log.warn({ jobUuid, from: this.#state }, 'job was ended by somebody else')
    const result = { ...unanswered, seconds: null, exitStatus: null, stdout: null, stderr: null }
    return { ...result, state: 'broken', reason: 'abandoned', executorClass: this.#plan?.executorClass, word: null }
  }

  #move(event: JobEvent, at = this.#wallTime(), more: Omit<Move, 'at'> = {}): void {
    this.#record.move(event, { at, ...more })
  }

  /**
   * Returns the next event of the stage; undefined at the stage's end, or once another process has ended the job. Drops
   * messages that arrived after the stage's end, so that a miner that never stops talking times out too.
   */
  async #next(): Promise<LinkEvent | undefined> {
    const { clock, talk } = this.#deps
    const until = this.#until()
    const wakeAt = Math.max(until, clock.monotonic())
    try {
      let lateMs = 0
      let event = await talk.next(this.#left(until), this.#waits)
      if (event === undefined) {
        // When this process was held up over the deadline, what the miner said in time is still in the kernel: it is
        // read now, and the miner does not pay for the delay.
        lateMs = clock.monotonic() - wakeAt
        event = await talk.next(0, this.#waits)
      }
      return event?.type === 'said' && event.at > until + 2 * lateMs ? undefined : event
    } catch (error) {
      if (this.#signal.aborted || !this.#record.endedElsewhere.aborted) throw error
      return undefined
    }
  }

  /** When the stage ends, in ms of the monotonic clock. */
  #until(): number {
    return Math.min(this.#limit, this.#job.endsAt)
  }

  /** From now to a moment of the monotonic clock, in ms. */
  #left(until: number): number {
    return Math.max(0, until - this.#deps.clock.monotonic())
  }

  /** @param from when the stage began, in ms of the monotonic clock */
  #allow(ms: number, from = this.#deps.clock.monotonic()): void {
    this.#limit = from + ms
  }

  #wallTime(): Date {
    return new Date(this.#deps.clock.now())
  }
}
