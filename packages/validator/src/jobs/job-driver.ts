import { SocketClosedError } from '@horde/kit/socket'
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'
import type { JobRequest } from '@horde/protocol/job/messages'
import { advance, FIRST_STATE, type FinalState, isFinal, type JobEvent, type JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import { EMPTY_RESULT, type JobFields, type JobResult, noteOf } from '../db/jobs.ts'
import { LockLostError } from '../db/lock.ts'
import { JobNotices } from './dialects/job-notices.ts'
import type { ChannelEvent, ConnectedEvent, JobChannel, MessageEvent } from './job-channel.ts'
import { type JobSpec, resultOf } from './job-spec.ts'
import { endOfBreak, endOfDecline } from './reported-ends.ts'
import { StageDeadline } from './stage-limits.ts'
import { type Move, type MovingJob, type TransitionDeps, transition } from './transition.ts'
import { type HostClock, NO_MOMENT, WorkTimer } from './work-timer.ts'

export interface DriverDeps {
  channel: JobChannel
  /** Saves changes in the background. */
  journal: Pick<TransitionDeps, 'save'>
  clock: Clock
  log: TransitionDeps['log']
  /** Called with the time from the arrival of a ready frame until the kernel had the work, in ms. */
  onWorkSent?: ((waitedMs: number) => void) | undefined
  /** Awaited before anything is sent: resolves when this process may act on the job. */
  whenLocked?: (() => Promise<void>) | undefined
  hostClock?: HostClock | undefined
}

/** How long a miner may take to repeat what it has said about a job, to a validator that comes back, in ms. */
const REPEATS_MS = 2_000

/** The reason for a stage's time-out while the miner is connected. */
const TIMED_OUT: Partial<Record<JobState, Reason>> = {
  offered: 'no-answer',
  accepted: 'prepare-timed-out',
  ready: 'work-not-sent',
  running: 'run-timed-out',
}

/**
 * Drives one job, whose row exists already, on one miner to its end. Moves are saved in the background and only the end
 * waits for the database: a slow database must not cost a miner time.
 */
export class JobDriver {
  readonly #job: JobSpec
  readonly #deps: DriverDeps
  readonly #signal: AbortSignal
  readonly #moving: MovingJob
  readonly #saves: Promise<boolean>[] = []
  /** Aborts once another process has finalised the job. */
  readonly #dropped = new AbortController()
  readonly #stopWaiting: AbortSignal
  #isConnected = false
  readonly #notices: JobNotices
  /** Given while the miner reports the stages of a job that has a limit for each. */
  #stages: StageDeadline | undefined
  /** When the executor was ready, in ms of the monotonic clock. */
  #readyAt = 0
  /** Whether the miner may be sent the work again on another connection. */
  #mayRepeat = true
  /** When the stage ends unless the job ends first, in ms of the monotonic clock. */
  #stageEndsAt: number
  #isHeldBack = false
  /** The last connection on which the work was sent. */
  #workSentOn = 0
  readonly #timer: WorkTimer

  constructor(job: JobSpec, deps: DriverDeps, signal: AbortSignal) {
    const { uuid, resumed, connectMs } = job
    this.#job = job
    this.#deps = deps
    this.#signal = signal
    this.#moving = { uuid, state: resumed?.state ?? FIRST_STATE }
    this.#stageEndsAt = deps.clock.monotonic() + connectMs
    this.#stopWaiting = AbortSignal.any([signal, this.#dropped.signal])
    this.#timer = new WorkTimer(resumed)
    this.#notices = new JobNotices(job, deps)
  }

  /**
   * Returns how the job ended; undefined when another process finalised it first. Rejects when the database stays away,
   * and at a stop after which the job stays open or belongs to another process.
   */
  async drive(): Promise<JobResult | undefined> {
    try {
      return (await this.#offer()) ?? (await this.#follow())
    } catch (error) {
      if (error === this.#dropped.signal.reason) return undefined
      if (!this.#signal.aborted || this.#job.keepOpen || this.#signal.reason instanceof LockLostError) throw error
      return this.#endBroken('stopped', 'stopped')
    }
  }

  get #state(): JobState {
    return this.#moving.state
  }

  /**
   * Sends the offer once the miner is connected. Returns the result when the job ends before that. Offering a resumed
   * job again makes the miner repeat a result that it sent to the earlier process.
   */
  async #offer(): Promise<JobResult | undefined> {
    const { resumed } = this.#job
    for (;;) {
      const event = await this.#next()
      if (event === undefined) return this.#endBroken('timed out', 'no-connection')
      if (event.type === 'over') {
        return this.#endBroken('connection lost', event.refused ? 'not-authorized' : 'no-connection')
      }
      if (event.type === 'complained') this.#note({ complaint: event.text })
      if (event.type !== 'connected') continue
      this.#connected(event)
      const mayOffer = !resumed || (resumed.repeatOffer && (event.repeats || !resumed.isOffered))
      if (!mayOffer || (await this.#sendOffer(event))) return undefined
    }
  }

  #connected({ repeats, reportsStages }: ConnectedEvent): void {
    this.#isConnected = true
    this.#mayRepeat = repeats
    const { limits } = this.#job.offer
    this.#stages = reportsStages && limits.kind === 'stages' ? (this.#stages ?? new StageDeadline(limits)) : undefined
  }

  /** Returns whether the offer was sent. */
  async #sendOffer({ dialect }: ConnectedEvent): Promise<boolean> {
    const { offer, executorClass = null } = this.#job
    if ((await this.#send(offer)) === undefined) return false
    const offeredAt = this.#wallTime()
    this.#notices.offered(offeredAt)
    this.#note({ executorClass, image: offer.image, offeredAt, dialect })
    return true
  }

  /** Handles what the miner sends about the job until the job ends. */
  async #follow(): Promise<JobResult | undefined> {
    const { readyMs } = this.#job
    this.#readyAt = this.#deps.clock.monotonic()
    const stageMs = this.#state === 'offered' ? this.#acceptMs : this.#state === 'accepted' ? readyMs : this.#resultMs
    this.#stageEndsAt = this.#readyAt + stageMs
    for (;;) {
      const event = await this.#next()
      if (event === undefined && this.#extendAcceptance()) continue
      if (event === undefined) {
        return this.#endTimedOut()
      }
      if (event.type === 'over') {
        const isRefused = event.refused && this.#state === 'offered'
        return this.#endBroken('connection lost', isRefused ? 'not-authorized' : 'connection-lost')
      }
      if (event.type === 'lost') this.#isConnected = false
      if (event.type === 'connected') await this.#reconnected(event)
      if (event.type === 'complained') this.#note({ complaint: event.text })
      if (event.type !== 'message') continue
      const to = this.#receive(event)
      if (isFinal(to)) return this.#endByReport(event, to)
      if (event.report.type === 'ready') await this.#sendWorkTo(event)
    }
  }

  /** Sends the offer again only to a miner that cannot have read it. */
  async #reconnected(event: ConnectedEvent): Promise<void> {
    this.#connected(event)
    if (!event.isFirstHeard || this.#state !== 'offered' || !this.#notices.isOffered) return
    await this.#sendOffer(event)
    this.#stageEndsAt = this.#deps.clock.monotonic() + this.#acceptMs
  }

  /** How long the miner may take to answer the offer, in ms. A user does not wait longer than the miner reserves. */
  get #acceptMs(): number {
    const { acceptMs, reservationMs, isOrganic } = this.#job
    return isOrganic && !this.#mayRepeat ? Math.min(acceptMs, reservationMs) : acceptMs
  }

  /** How long the job may take from ready to the end of its present stage, in ms. */
  get #resultMs(): number {
    return this.#stages?.ms ?? this.#job.resultMs
  }

  /** Applies a message that does not end the job. Returns the state that the message leads to. */
  #receive({ report: { type: event }, connection, at }: MessageEvent): JobState {
    if (event === 'volumes-ready' || event === 'execution-done') return this.#reportStage(event, connection)
    // On a new connection a miner repeats ready, and not the acceptance before it.
    if (event === 'ready' && this.#state === 'offered') this.#accepted(at)
    if (this.#job.resumed && (event === 'finish' || event === 'fail')) this.#catchUp()
    const to = advance(this.#state, event)
    if (to !== this.#state && to !== 'broken') this.#deps.channel.moved(connection)
    // A miner that is offered a job again accepts it only while it is open. One that is not repeats its acceptance, and
    // all that has happened since.
    if (event === 'accept') this.#timer.resume(this.#mayRepeat ? at : at + REPEATS_MS)
    if (event === 'accept' && to !== this.#state) this.#accepted(at)
    return to
  }

  #accepted(at: number): void {
    const { readyMs } = this.#job
    // From the message's arrival: a slow validator would give a miner more time than its class has.
    this.#stageEndsAt = at + readyMs
    this.#move('accept')
    void this.#notices.accepted()
  }

  /** A stage may be reported early, and more than once. It moves the deadline, not the job. */
  #reportStage(stage: 'volumes-ready' | 'execution-done', connection: number): JobState {
    this.#deps.channel.moved(connection)
    this.#stages?.report(stage)
    if (this.#stages && this.#state === 'running') this.#stageEndsAt = this.#readyAt + this.#stages.ms
    return this.#state
  }

  /** Returns whether to wait for the answer beyond `acceptMs`, as for a v0 miner that queues the offer. */
  #extendAcceptance(): boolean {
    const { slowAcceptMs = 0, acceptMs, endsAt, onHeldBack } = this.#job
    if (this.#state !== 'offered' || this.#isHeldBack || slowAcceptMs <= acceptMs) return false
    if (this.#deps.clock.monotonic() >= endsAt) return false
    this.#isHeldBack = true
    this.#stageEndsAt += slowAcceptMs - acceptMs
    onHeldBack?.()
    return true
  }

  /** Makes the moves up to running that an earlier process sent the work for and did not save. */
  #catchUp(): void {
    if (this.#timer.isStarted) return
    this.#timer.markUnknown()
    if (this.#state === 'offered') this.#move('accept')
    if (this.#state === 'accepted') this.#move('ready')
    if (this.#state === 'ready') this.#move('work')
  }

  /** Sends the work before it saves anything; again after ready on another connection, since the work was lost then. */
  async #sendWorkTo({ connection, at }: MessageEvent): Promise<void> {
    const readyAt = this.#wallTime()
    if (this.#state === 'accepted') {
      this.#readyAt = this.#deps.clock.monotonic()
      this.#stageEndsAt = this.#readyAt + this.#resultMs
    }
    const isDue = this.#mayRepeat ? connection > this.#workSentOn : !this.#timer.mayHaveBeenSent
    const isSent = isDue && (await this.#sendWork(connection, at))
    const sentAt = this.#wallTime()
    if (isSent && this.#job.resumed?.state === 'running') {
      // The work was lost with the earlier process. The miner gets neither a penalty nor a head start for that.
      this.#timer.markUnknown()
      this.#note({ workSent: NO_MOMENT })
    }
    if (this.#state === 'accepted') this.#move('ready', { at: readyAt })
    if (this.#state !== 'ready' || !isSent) return
    const sentMs = this.#timer.sentAt
    const workSent = sentMs === undefined ? undefined : this.#deps.hostClock?.toHost(sentMs)
    this.#move('work', { at: sentAt, workSent })
  }

  async #sendWork(connection: number, readyAt: number): Promise<boolean> {
    this.#workSentOn = connection
    const sentOn = await this.#send(this.#job.work)
    if (sentOn === undefined) return false
    this.#workSentOn = sentOn
    const now = this.#deps.clock.monotonic()
    if (!this.#timer.start(now)) return true
    if (!this.#stages) this.#stageEndsAt = now + this.#job.resultMs
    this.#deps.onWorkSent?.(now - readyAt)
    return true
  }

  #endByReport({ report, at }: MessageEvent, to: FinalState): Promise<JobResult | undefined> {
    const { type: event } = report
    const { unanswered, resumed } = this.#job
    if (report.type === 'decline' && to === 'rejected')
      return this.#end(event, { ...unanswered, ...endOfDecline(report) })
    const isResult = event === 'finish' || event === 'fail'
    if (isResult && at < (this.#timer.sentAt ?? at)) {
      // Rejects a result that arrived before the work was sent, unless it may answer what an earlier process sent.
      if (!resumed) return this.#end(event, { ...unanswered, reason: 'out-of-order' })
      this.#timer.markUnknown()
    }
    if (isResult && to !== 'broken' && this.#timer.mayHaveBeenSent) {
      const seconds = this.#timer.secondsUntil(at)
      return this.#end(event, resultOf(report, this.#job.judge(report, seconds), seconds))
    }
    if (report.type === 'break') return this.#end(event, { ...unanswered, ...endOfBreak(report) })
    // After a lost connection v0 miners report a failed preparation as a failed job.
    const isUnprepared = event === 'not-prepared' || event === 'fail'
    return this.#end(event, { ...unanswered, reason: isUnprepared ? 'prepare-failed' : 'out-of-order' })
  }

  #endTimedOut(): Promise<JobResult | undefined> {
    if (!this.#isConnected) return this.#endBroken('timed out', 'connection-lost')
    const stage = this.#state === 'running' ? (this.#stages?.stage ?? null) : null
    return this.#end('timed out', {
      ...this.#job.unanswered,
      stage,
      reason: TIMED_OUT[this.#state] ?? 'connection-lost',
    })
  }

  /** Ends the job by an event that no message brought. */
  #endBroken(event: JobEvent, reason: Reason): Promise<JobResult | undefined> {
    return this.#end(event, { ...this.#job.unanswered, reason })
  }

  async #end(event: JobEvent, known: Partial<JobResult>): Promise<JobResult | undefined> {
    const result = { ...EMPTY_RESULT, ...known }
    this.#move(event, { result })
    const saved = await Promise.all(this.#saves)
    if (saved.includes(false)) return undefined
    await this.#notices.ended(this.#state === 'finished' && result.reason === null)
    return { ...result, state: this.#state as FinalState }
  }

  #move(event: JobEvent, { at = this.#wallTime(), ...more }: Partial<Omit<Move, 'event'>> = {}): void {
    const { journal, log } = this.#deps
    const isSaved = transition(this.#moving, { event, at, ...more }, { save: change => journal.save(change), log })
    const state = this.#state
    this.#track(isSaved, () => this.#job.onMoved?.(state))
  }

  #note(fields: Omit<JobFields, 'state'>): void {
    this.#track(this.#deps.journal.save(noteOf(this.#job.uuid, fields)))
  }

  /** Stops driving the job once another process has finalised it. */
  #track(isSaved: Promise<boolean>, onSaved?: () => void): void {
    this.#saves.push(isSaved)
    isSaved.then(
      saved => {
        if (saved) return onSaved?.()
        if (this.#dropped.signal.aborted) return
        this.#deps.log.warn({ jobUuid: this.#job.uuid }, 'job dropped: another process has finalised it')
        this.#dropped.abort()
      },
      // `#end` awaits all saves and rejects.
      () => {},
    )
  }

  /** Returns the connection that took the message; undefined when it was lost first, or the stage ended. */
  async #send(request: JobRequest): Promise<number | undefined> {
    const { channel, clock, whenLocked } = this.#deps
    if (whenLocked) {
      const from = clock.monotonic()
      await whenLocked()
      // The stage is extended by the time in which nothing could be sent.
      this.#stageEndsAt += clock.monotonic() - from
    }
    return withDeadline(channel.send(request, this.#notices.terms), this.#leftMs(), 'sending to a miner', clock).catch(
      error => {
        if (error instanceof SocketClosedError || error instanceof DeadlineError) return undefined
        throw error
      },
    )
  }

  /**
   * Returns the next event; undefined at the stage's end. Drops messages received after the stage deadline, so a chatty
   * peer still times out. Rejects when stopped, and when the job was dropped.
   */
  async #next(): Promise<ChannelEvent | undefined> {
    const { clock, channel } = this.#deps
    this.#stopWaiting.throwIfAborted()
    const until = this.#until()
    const wakeAt = Math.max(until, clock.monotonic())
    let lateMs = 0
    let event = await channel.next(this.#leftMs(), this.#stopWaiting)
    if (event === undefined) {
      // If this process was held up, messages that arrived in time are still in the kernel. They count: the miner must
      // not pay for the delay.
      lateMs = clock.monotonic() - wakeAt
      event = await channel.next(0, this.#stopWaiting)
    }
    return event?.type === 'message' && event.at > until + 2 * lateMs ? undefined : event
  }

  #until(): number {
    return Math.min(this.#stageEndsAt, this.#job.endsAt)
  }

  #leftMs(): number {
    return Math.max(0, this.#until() - this.#deps.clock.monotonic())
  }

  #wallTime(): Date {
    return new Date(this.#deps.clock.now())
  }
}
