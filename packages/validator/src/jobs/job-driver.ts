import type { Clock } from '@horde/kit/time'
import { advance, FIRST_STATE, type FinalState, isFinal, type JobEvent, type JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import { EMPTY_RESULT, type JobResult } from '../db/jobs.ts'
import { LockLostError } from '../db/lock.ts'
import { JobNotices } from './dialects/job-notices.ts'
import type { ConnectedEvent, JobChannel, MessageEvent } from './job-channel.ts'
import type { JobSpec, StageReport } from './job-spec.ts'
import { endOfReport, eventOf, TIMED_OUT } from './reported-ends.ts'
import { SavedMoves } from './saved-moves.ts'
import { StageDeadline } from './timing/stage-limits.ts'
import { TimedChannel } from './timing/timed-channel.ts'
import { type HostClock, NO_MOMENT, WorkTimer } from './timing/work-timer.ts'
import type { TransitionDeps } from './transition.ts'

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

/**
 * Drives one job, whose row exists already, on one miner to its end. Moves are saved in the background and only the end
 * waits for the database: a slow database must not cost a miner time.
 */
export class JobDriver {
  readonly #job: JobSpec
  readonly #deps: DriverDeps
  readonly #signal: AbortSignal
  readonly #moves: SavedMoves
  #isConnected = false
  readonly #notices: JobNotices
  /** Given while the miner reports the stages of a job that has a limit for each. */
  #stages: StageDeadline | undefined
  /** When the executor was ready, in ms of the monotonic clock. */
  #readyAt = 0
  /** Whether the miner may be sent the work again on another connection. */
  #mayRepeat = true
  readonly #channel: TimedChannel
  #isHeldBack = false
  /** The last connection on which the work was sent. */
  #workSentOn = 0
  readonly #timer: WorkTimer

  constructor(job: JobSpec, deps: DriverDeps, signal: AbortSignal) {
    const { uuid, resumed, connectMs, endsAt, onMoved } = job
    const { journal, clock, log } = deps
    this.#job = job
    this.#deps = deps
    this.#signal = signal
    this.#moves = new SavedMoves({ uuid, state: resumed?.state ?? FIRST_STATE }, { journal, clock, log, onMoved })
    this.#timer = new WorkTimer(resumed)
    this.#notices = new JobNotices(job, deps)
    const { terms } = this.#notices
    const stop = AbortSignal.any([signal, this.#moves.dropped])
    this.#channel = new TimedChannel(clock.monotonic() + connectMs, { ...deps, terms, endsAt, signal: stop })
  }

  /**
   * Returns how the job ended; undefined when another process finalised it first. Rejects when the database stays away,
   * and at a stop after which the job stays open or belongs to another process.
   */
  async drive(): Promise<JobResult | undefined> {
    try {
      return (await this.#offer()) ?? (await this.#follow())
    } catch (error) {
      if (error === this.#moves.dropped.reason) return undefined
      if (!this.#signal.aborted || this.#job.keepOpen || this.#signal.reason instanceof LockLostError) throw error
      return this.#endBroken('stopped', 'stopped')
    }
  }

  get #state(): JobState {
    return this.#moves.state
  }

  /**
   * Sends the offer once the miner is connected. Returns the result when the job ends before that. Offering a resumed
   * job again makes the miner repeat a result that it sent to the earlier process.
   */
  async #offer(): Promise<JobResult | undefined> {
    const { resumed } = this.#job
    for (;;) {
      const event = await this.#channel.next()
      if (event === undefined) return this.#endBroken('timed out', 'no-connection')
      if (event.type === 'over') {
        return this.#endBroken('connection lost', event.refused ? 'not-authorized' : 'no-connection')
      }
      if (event.type === 'complained') this.#moves.note({ complaint: event.text })
      if (event.type !== 'connected') continue
      this.#connected(event)
      const obstacle = event.obstacle(this.#job.work)
      if (obstacle !== undefined && !resumed?.isOffered) return this.#endInexpressible(obstacle)
      const mayOffer = !resumed || (resumed.repeatOffer && (event.repeats || !resumed.isOffered))
      if (!mayOffer || (await this.#sendOffer(event))) return undefined
    }
  }

  /** The miner is not offered a job that its dialect cannot express. */
  #endInexpressible(obstacle: string): Promise<JobResult | undefined> {
    const message = `The miner speaks v0, which cannot express ${obstacle}.`
    return this.#end('decline', { ...this.#job.unanswered, reason: 'not-in-v0', message })
  }

  #connected({ repeats, reportsStages }: ConnectedEvent): void {
    this.#isConnected = true
    this.#mayRepeat = repeats
    const { offer, resumed } = this.#job
    const { limits } = offer
    this.#stages = reportsStages && limits.kind === 'stages' ? (this.#stages ?? new StageDeadline(limits)) : undefined
    // Which stages an earlier process was told of is not known: all of them count.
    if (resumed?.state === 'running') this.#stages?.report('execution-done')
  }

  /** Returns whether the offer was sent. */
  async #sendOffer({ dialect }: ConnectedEvent): Promise<boolean> {
    const { offer, executorClass = null } = this.#job
    if ((await this.#channel.send(offer)) === undefined) return false
    const offeredAt = this.#wallTime()
    this.#notices.offered(offeredAt)
    this.#moves.note({ executorClass, image: offer.image, offeredAt, dialect })
    return true
  }

  /** Handles what the miner sends about the job until the job ends. */
  async #follow(): Promise<JobResult | undefined> {
    const { readyMs } = this.#job
    this.#readyAt = this.#deps.clock.monotonic()
    const stageMs = this.#state === 'offered' ? this.#acceptMs : this.#state === 'accepted' ? readyMs : this.#resultMs
    this.#channel.stageEndsAt = this.#readyAt + stageMs
    for (;;) {
      const event = await this.#channel.next()
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
      if (event.type === 'complained') this.#moves.note({ complaint: event.text })
      if (event.type !== 'message') continue
      const to = this.#receive(event)
      if (isFinal(to)) return this.#endByReport(event, to)
      if (event.report.type === 'ready') await this.#sendWorkTo(event)
    }
  }

  /** Sends the offer again only to a miner that cannot have read it. */
  async #reconnected(event: ConnectedEvent): Promise<void> {
    this.#connected(event)
    if (!event.hasReadNothing || this.#state !== 'offered' || !this.#notices.isOffered) return
    await this.#sendOffer(event)
    this.#channel.stageEndsAt = this.#deps.clock.monotonic() + this.#acceptMs
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
  #receive({ report, connection, at }: MessageEvent): JobState {
    const event = eventOf(report, this.#state)
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
    this.#channel.stageEndsAt = at + readyMs
    this.#moves.move('accept')
    void this.#notices.accepted()
  }

  /** A stage may be reported early, and more than once. It moves the deadline, not the job. */
  #reportStage(stage: StageReport, connection: number): JobState {
    this.#deps.channel.moved(connection)
    this.#stages?.report(stage)
    this.#moves.afterSaves(() => this.#job.onStage?.(stage))
    if (this.#stages && this.#state === 'running') this.#channel.stageEndsAt = this.#readyAt + this.#stages.ms
    return this.#state
  }

  /** Returns whether to wait for the answer beyond `acceptMs`, as for a v0 miner that queues the offer. */
  #extendAcceptance(): boolean {
    const { slowAcceptMs = 0, acceptMs, endsAt, onHeldBack } = this.#job
    if (this.#state !== 'offered' || this.#isHeldBack || slowAcceptMs <= acceptMs) return false
    if (this.#deps.clock.monotonic() >= endsAt) return false
    this.#isHeldBack = true
    this.#channel.stageEndsAt += slowAcceptMs - acceptMs
    onHeldBack?.()
    return true
  }

  /** Makes the moves up to running that an earlier process sent the work for and did not save. */
  #catchUp(): void {
    if (this.#timer.isStarted) return
    this.#timer.markUnknown()
    if (this.#state === 'offered') this.#moves.move('accept')
    if (this.#state === 'accepted') this.#moves.move('ready')
    if (this.#state === 'ready') this.#moves.move('work')
  }

  /** Sends the work before it saves anything; again after ready on another connection, since the work was lost then. */
  async #sendWorkTo({ connection, at }: MessageEvent): Promise<void> {
    const readyAt = this.#wallTime()
    if (this.#state === 'accepted') {
      this.#readyAt = this.#deps.clock.monotonic()
      this.#channel.stageEndsAt = this.#readyAt + this.#resultMs
    }
    const isDue = this.#mayRepeat ? connection > this.#workSentOn : !this.#timer.mayHaveBeenSent
    const isSent = isDue && (await this.#sendWork(connection, at))
    const sentAt = this.#wallTime()
    if (isSent && this.#job.resumed?.state === 'running') {
      // The work was lost with the earlier process. The miner gets neither a penalty nor a head start for that.
      this.#timer.markUnknown()
      this.#moves.note({ workSent: NO_MOMENT })
    }
    if (this.#state === 'accepted') this.#moves.move('ready', { at: readyAt })
    if (this.#state !== 'ready' || !isSent) return
    const sentMs = this.#timer.sentAt
    const workSent = sentMs === undefined ? undefined : this.#deps.hostClock?.toHost(sentMs)
    this.#moves.move('work', { at: sentAt, workSent })
  }

  async #sendWork(connection: number, readyAt: number): Promise<boolean> {
    this.#workSentOn = connection
    const sentOn = await this.#channel.send(this.#job.work)
    if (sentOn === undefined) return false
    this.#workSentOn = sentOn
    const now = this.#deps.clock.monotonic()
    if (!this.#timer.start(now)) return true
    if (!this.#stages) this.#channel.stageEndsAt = now + this.#job.resultMs
    this.#deps.onWorkSent?.(now - readyAt)
    return true
  }

  #endByReport(event: MessageEvent, to: FinalState): Promise<JobResult | undefined> {
    const { report } = event
    const known = endOfReport(event, to, this.#job, this.#timer)
    const isKept = this.#job.keepsReport && known.reason !== 'out-of-order'
    return this.#end(eventOf(report, this.#state), isKept ? { ...known, report } : known)
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
    this.#moves.move(event, { result })
    if (!(await this.#moves.allSaved())) return undefined
    await this.#notices.ended(this.#state === 'finished' && result.reason === null)
    return { ...result, state: this.#state as FinalState }
  }

  #wallTime(): Date {
    return new Date(this.#deps.clock.now())
  }
}
