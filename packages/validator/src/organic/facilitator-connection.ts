import type { Hotkey } from '@horde/chain/wallet'
import { type Log, silentLog } from '@horde/kit/log'
import { printable } from '@horde/kit/log/untrusted-text'
import { type BackoffOptions, keepConnected } from '@horde/kit/reconnect'
import { dialSocket, type Socket } from '@horde/kit/socket'
import { type Clock, withDeadline } from '@horde/kit/time'
import { version } from '@horde/kit/version'
import { LARGE_FRAME_BYTES } from '@horde/protocol/frame'
import { CAPABILITIES_HEADER, capabilitiesIn } from '@horde/protocol/handshake/capabilities'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import { facilitatorLoginBytes } from '@horde/protocol/handshake/signing'
import { jobUuid, uuidKey } from '@horde/protocol/primitives'
import {
  type FacilitatorJobRequest,
  HEARTBEAT_SECONDS,
  type V0AuthenticationRequest,
  type V0JobStatusUpdate,
} from '@horde/protocol/v0/facilitator-validator'
import type * as v2026 from '@horde/protocol/v2026/facilitator-validator'
import { CAPABILITIES } from '../jobs/dialects/v2026.ts'
import { failedUpdate } from './dialects/v0.ts'
import { isFinalStatus, rejectedUpdate } from './dialects/v2026.ts'
import { type FacilitatorFrame, type ReceivedRequest, readFacilitatorFrame } from './facilitator-frame.ts'
import type { ResumableJob } from './run-organic-job.ts'
import { type StatusUpdate, UpdateOutbox } from './update-outbox.ts'

const RECONNECT: BackoffOptions = { minMs: 1_000, maxMs: 60_000, factor: 2, jitterMs: 1_000 }
/** With this code a facilitator refuses a frame that is too large for it. */
const TOO_LARGE = 1009
/** Uptime after which the retry counter resets, in ms. */
const STABLE_MS = 30_000
/** How long sending the last updates may take when the validator stops, in ms. */
const LAST_UPDATES_MS = 2_000

export interface FacilitatorOptions {
  uri: string
  hotkey: Hotkey
  /** Runs a job of v0 to its end, and reports it. Never rejects. */
  run(
    request: FacilitatorJobRequest,
    report: (update: V0JobStatusUpdate) => void,
    signal: AbortSignal,
  ): Promise<unknown>
  /** Runs a job of v2026 to its end, and reports it. Never rejects. */
  runUserJob(
    received: ReceivedRequest<v2026.V2JobRequest>,
    report: (update: v2026.V0JobStatusUpdate) => void,
    signal: AbortSignal,
  ): Promise<unknown>
  /** Called with a user's report that the result of a job was wrong. */
  onCheated(received: ReceivedRequest<v2026.V0JobCheated>): Promise<void>
  /** The jobs that an earlier process left open or unreported. They are resumed before the facilitator is dialled. */
  resumableJobs?(signal: AbortSignal): Promise<ResumableJob<StatusUpdate>[]>
  /** Called when the facilitator has confirmed the whole update about a job's end. */
  onReported?(update: StatusUpdate): void
  heartbeatMs?: number
  reconnect?: BackoffOptions
  clock: Clock
  log: Log
}

/**
 * `running`: how many jobs. `waiting`: how many updates the facilitator has not confirmed. `dialect`: that of its last
 * job, or that it names when it connects; null while nothing is connected.
 */
export type FacilitatorState = { connected: boolean; dialect: Dialect | null; running: number; waiting: number }

/** `last`: its last update. */
type RunningJob = { ended: Promise<unknown>; last: StatusUpdate | undefined }

type FacilitatorAnswer = Extract<FacilitatorFrame, { type: 'answer' }>['answer']
type FacilitatorSocket = Socket<FacilitatorFrame, object>

/**
 * The connection to the facilitator. Reconnects for ever, runs the jobs that come in, and keeps each update until the
 * facilitator confirms it, so that none is lost with a connection; an update whose confirmation was lost is sent twice.
 * Disposing of it stops the jobs, reports how they ended, and closes.
 */
export class FacilitatorConnection implements AsyncDisposable {
  readonly #options: FacilitatorOptions
  readonly #jobsStop = new AbortController()
  readonly #connectionStop = new AbortController()
  /** By the keys of their uuids. */
  readonly #jobs = new Map<string, RunningJob>()
  readonly #outbox: UpdateOutbox
  readonly #running: Promise<unknown>
  #socket: FacilitatorSocket | undefined
  #loggedIn = false
  /** Facilitators of 2024 do not name theirs. */
  #dialect: Dialect = 'v0'

  constructor(options: FacilitatorOptions) {
    this.#options = options
    this.#outbox = new UpdateOutbox(options.log)
    if (!options.uri.startsWith('wss:'))
      options.log.warn('the connection to the facilitator is not encrypted: use a wss: address')
    this.#running = this.#resumeJobs().then(() => this.#stayConnected())
  }

  #stayConnected(): Promise<unknown> {
    const options = this.#options
    return keepConnected({
      dial: signal => this.#dial(signal),
      use: (socket, signal, wasOfUse) => this.#use(socket, signal, wasOfUse),
      backoff: options.reconnect ?? RECONNECT,
      stableMs: STABLE_MS,
      clock: options.clock,
      log: options.log.child({ link: 'facilitator' }),
      signal: this.#connectionStop.signal,
    })
  }

  state(): FacilitatorState {
    const connected = this.#socket !== undefined
    const dialect = connected ? this.#dialect : null
    return { connected, dialect, running: this.#jobs.size, waiting: this.#outbox.waiting }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { clock, log } = this.#options
    this.#jobsStop.abort()
    await Promise.all([...this.#jobs.values()].map(({ ended }) => ended))
    if (this.#outbox.waiting > 0) {
      await withDeadline(this.#outbox.allConfirmed, LAST_UPDATES_MS, 'last updates', clock).catch(err =>
        log.warn({ err, updates: this.#outbox.waiting }, 'updates could not be sent before the stop'),
      )
    }
    this.#connectionStop.abort()
    await this.#running
  }

  #dial(signal: AbortSignal): Promise<FacilitatorSocket> {
    this.#dialect = 'v0'
    return dialSocket<FacilitatorFrame, object>(this.#options.uri, {
      headers: {
        [CAPABILITIES_HEADER]: CAPABILITIES.join(', '),
        'X-Validator-Version': version,
        'X-Validator-Runner-Version': version,
      },
      onUpgrade: headers => {
        if (capabilitiesIn(headers[CAPABILITIES_HEADER.toLowerCase()]).includes('2026')) this.#dialect = 'v2026'
      },
      ...{ parse: readFacilitatorFrame, signal, maxFrameBytes: LARGE_FRAME_BYTES, log: silentLog },
    })
  }

  async #use(socket: FacilitatorSocket, signal: AbortSignal, wasOfUse: () => void): Promise<void> {
    await socket.send(login(this.#options.hotkey))
    this.#socket = socket
    this.#loggedIn = false
    this.#options.log.info({ dialect: this.#dialect }, 'facilitator connected')
    const ended = new AbortController()
    const beating = this.#beat(socket, AbortSignal.any([signal, ended.signal]))
    this.#outbox.sendOn(socket)
    let isRefusal = false
    try {
      for (let received = await socket.receive(signal); received; received = await socket.receive(signal))
        await this.#take(received, socket, wasOfUse)
      const { code } = await socket.closed
      isRefusal = code === TOO_LARGE || this.#loggedIn
    } finally {
      this.#socket = undefined
      this.#outbox.connectionEnded({ isRefusal })
      ended.abort()
      await beating
    }
  }

  async #beat(socket: FacilitatorSocket, signal: AbortSignal): Promise<void> {
    const { clock, heartbeatMs = HEARTBEAT_SECONDS * 1000 } = this.#options
    try {
      for (;;) {
        await clock.sleep(heartbeatMs, signal)
        await socket.send({ message_type: 'V0Heartbeat' })
      }
    } catch {
      // The connection is over: `#use` notices when it reads.
    }
  }

  async #take(frame: FacilitatorFrame, socket: FacilitatorSocket, wasOfUse: () => void): Promise<void> {
    const { log, run, runUserJob, onCheated } = this.#options
    switch (frame.type) {
      case 'invalid':
        return this.#answerInvalid(frame)
      case 'named-job':
        this.#speaks('v0')
        return this.#start(frame.request.uuid, (report, signal) => run(frame.request, report, signal), wasOfUse)
      case 'user-job': {
        this.#speaks('v2026')
        const { uuid } = frame.request
        return this.#start(uuid, (report, signal) => runUserJob(frame, report, signal), wasOfUse)
      }
      case 'cheated':
        this.#speaks('v2026')
        return void onCheated(frame).catch(err => log.error({ err }, 'report of a cheat could not be taken'))
      case 'answer':
        return this.#takeAnswer(frame.answer, socket, wasOfUse)
    }
  }

  #speaks(dialect: Dialect): void {
    if (this.#dialect !== dialect) this.#options.log.info({ dialect }, 'facilitator speaks this dialect')
    this.#dialect = dialect
  }

  /** Tells the sender of an invalid job what is wrong with it, in the dialect that the job seems to be of. */
  #answerInvalid({ uuid, dialect, error }: Extract<FacilitatorFrame, { type: 'invalid' }>): void {
    const { log } = this.#options
    log.warn({ jobUuid: jobUuid.safeParse(uuid).data, dialect }, 'invalid frame from the facilitator')
    log.debug({ err: error }, 'why the frame is invalid')
    if (uuid === undefined || this.#repeatLast(uuid)) return
    const message = `The request was not understood: ${error.message}`
    if (dialect === 'v2026') this.#outbox.put(rejectedUpdate(uuid, 'validator', { reason: 'unknown', message }))
    else this.#outbox.put(failedUpdate(jobUuid.parse(uuid), message))
  }

  #takeAnswer({ status, errors }: FacilitatorAnswer, socket: FacilitatorSocket, wasOfUse: () => void): void {
    if (status === 'error') {
      const types = errors.map(({ type }) => printable(type))
      this.#options.log.error({ types }, 'the facilitator answered with an error')
      // Without a login nothing else counts. Reconnecting tries again, with growing delays.
      if (!this.#loggedIn) return void socket.close()
    }
    this.#receiveAnswer(wasOfUse)
  }

  async #resumeJobs(): Promise<void> {
    try {
      const resumed = (await this.#options.resumableJobs?.(this.#jobsStop.signal)) ?? []
      if (this.#jobsStop.signal.aborted) return
      for (const { uuid, run } of resumed) this.#drive(uuid, run)
    } catch (err) {
      this.#options.log.error({ err }, 'organic jobs could not be resumed')
    }
  }

  #start<U extends StatusUpdate>(uuid: string, run: ResumableJob<U>['run'], wasOfUse: () => void): void {
    if (this.#repeatLast(uuid)) return
    wasOfUse()
    this.#drive(uuid, run)
  }

  #drive<U extends StatusUpdate>(uuid: string, run: ResumableJob<U>['run']): void {
    const job: RunningJob = { ended: Promise.resolve(), last: undefined }
    const key = uuidKey(uuid)
    this.#jobs.set(key, job)
    const report = (update: U) => {
      job.last = update
      this.#outbox.put(update)
    }
    job.ended = run(report, this.#jobsStop.signal)
      .catch(err => this.#options.log.error({ err, jobUuid: uuid }, 'organic job could not be run'))
      .finally(() => this.#jobs.delete(key))
  }

  /** Sends the last update of a running job again. Returns false when no job of that uuid runs. */
  #repeatLast(uuid: string): boolean {
    const job = this.#jobs.get(uuidKey(uuid))
    // Without a last update the first one is still to come.
    if (job?.last) this.#outbox.put({ ...job.last, uuid } as StatusUpdate)
    return job !== undefined
  }

  /** The facilitator confirms the login, then each update, in order. */
  #receiveAnswer(wasOfUse: () => void): void {
    if (!this.#loggedIn) {
      this.#loggedIn = true
      return
    }
    const confirmed = this.#outbox.confirm()
    if (!confirmed) return
    wasOfUse()
    // A request without a uuid was rejected, and is stored nowhere.
    const { update, isWhole } = confirmed
    const isOfJob = jobUuid.safeParse(update.uuid).success
    if (isWhole && isOfJob && isFinalStatus(update.status)) this.#options.onReported?.(update)
  }
}

function login(hotkey: Hotkey): V0AuthenticationRequest {
  const publicKey = Buffer.from(hotkey.publicKey).toString('hex')
  const signature = `0x${Buffer.from(hotkey.sign(facilitatorLoginBytes(publicKey))).toString('hex')}`
  return { message_type: 'V0AuthenticationRequest', public_key: publicKey, signature }
}
