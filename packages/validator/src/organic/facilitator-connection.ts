import type { Hotkey } from '@horde/chain/wallet'
import { type Log, silentLog } from '@horde/kit/log'
import { printable } from '@horde/kit/log/untrusted-text'
import { type BackoffOptions, keepConnected } from '@horde/kit/reconnect'
import { dialSocket, type Socket } from '@horde/kit/socket'
import { type Clock, withDeadline } from '@horde/kit/time'
import { LARGE_FRAME_BYTES, type Parsed } from '@horde/protocol/frame'
import { facilitatorLoginBytes } from '@horde/protocol/handshake/signing'
import { type JobUuid, jobUuid, uuidKey } from '@horde/protocol/primitives'
import {
  type FacilitatorJobRequest,
  type FacilitatorMessage,
  HEARTBEAT_SECONDS,
  isJobRequest,
  parseFromFacilitator,
  type V0AuthenticationRequest,
  type V0JobStatusUpdate,
  type ValidatorToFacilitatorMessage,
} from '@horde/protocol/v0/facilitator-validator'
import type { ResumableJob } from './drive-organic-job.ts'
import { failedUpdate } from './organic-job.ts'

const RECONNECT: BackoffOptions = { minMs: 1_000, maxMs: 60_000, factor: 2, jitterMs: 1_000 }
/** Uptime after which the retry counter resets, in ms. */
const STABLE_MS = 30_000
/** How long sending the last updates may take when the validator stops, in ms. */
const LAST_UPDATES_MS = 2_000
/** How many updates are kept while the facilitator is away; beyond that the oldest are dropped. */
const MAX_KEPT_UPDATES = 10_000

export interface FacilitatorOptions {
  uri: string
  hotkey: Hotkey
  /** Runs a job to its end, and reports it. Never rejects. */
  run(
    request: FacilitatorJobRequest,
    report: (update: V0JobStatusUpdate) => void,
    signal: AbortSignal,
  ): Promise<unknown>
  /** The jobs that an earlier process left open or unreported. They are resumed before the facilitator is dialled. */
  resumableJobs?(signal: AbortSignal): Promise<ResumableJob[]>
  /** Called when the facilitator has confirmed the update about a job's end. */
  onReported?(update: V0JobStatusUpdate): void
  heartbeatMs?: number
  reconnect?: BackoffOptions
  clock: Clock
  log: Log
}

/** `running`: how many jobs. `waiting`: how many updates the facilitator has not confirmed. */
export type FacilitatorState = { connected: boolean; running: number; waiting: number }

/** `last`: its last update. */
type RunningJob = { ended: Promise<unknown>; last: V0JobStatusUpdate | undefined }

type Received = { parsed: Parsed<FacilitatorMessage>; frame: string | Uint8Array }
type FacilitatorSocket = Socket<Received, ValidatorToFacilitatorMessage>

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
  /** The updates that the facilitator has not confirmed, in order, and on which connection each was sent. */
  readonly #outbox: { update: V0JobStatusUpdate; sentOn?: FacilitatorSocket }[] = []
  readonly #running: Promise<unknown>
  #socket: FacilitatorSocket | undefined
  #loggedIn = false
  #sending: Promise<void> = Promise.resolve()
  #allConfirmed = Promise.withResolvers<void>()

  constructor(options: FacilitatorOptions) {
    this.#options = options
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
    return { connected: this.#socket !== undefined, running: this.#jobs.size, waiting: this.#outbox.length }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { clock, log } = this.#options
    this.#jobsStop.abort()
    await Promise.all([...this.#jobs.values()].map(({ ended }) => ended))
    if (this.#outbox.length > 0) {
      await withDeadline(this.#allConfirmed.promise, LAST_UPDATES_MS, 'last updates', clock).catch(err =>
        log.warn({ err, updates: this.#outbox.length }, 'updates could not be sent before the stop'),
      )
    }
    this.#connectionStop.abort()
    await this.#running
  }

  #dial(signal: AbortSignal): Promise<FacilitatorSocket> {
    const parse = (frame: string | Uint8Array): Received => ({ parsed: parseFromFacilitator(frame), frame })
    return dialSocket<Received, ValidatorToFacilitatorMessage>(this.#options.uri, {
      ...{ parse, signal, maxFrameBytes: LARGE_FRAME_BYTES, log: silentLog },
    })
  }

  async #use(socket: FacilitatorSocket, signal: AbortSignal, wasOfUse: () => void): Promise<void> {
    await socket.send(login(this.#options.hotkey))
    this.#socket = socket
    this.#loggedIn = false
    this.#options.log.info('facilitator connected')
    const ended = new AbortController()
    const beating = this.#beat(socket, AbortSignal.any([signal, ended.signal]))
    this.#flush()
    try {
      for (let received = await socket.receive(signal); received; received = await socket.receive(signal))
        await this.#take(received, socket, wasOfUse)
    } finally {
      this.#socket = undefined
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

  async #take({ parsed, frame }: Received, socket: FacilitatorSocket, wasOfUse: () => void): Promise<void> {
    const { log } = this.#options
    if (!parsed.ok) {
      const uuid = uuidIn(frame)
      log.warn({ jobUuid: uuid }, 'invalid frame from the facilitator')
      log.debug({ err: parsed.error }, 'why the frame is invalid')
      if (uuid && !this.#repeatLast(uuid)) {
        this.#report(failedUpdate(uuid, `The request was not understood: ${parsed.error.message}`))
      }
      return
    }
    if (isJobRequest(parsed.message)) return this.#start(parsed.message, wasOfUse)
    const { status, errors } = parsed.message
    if (status === 'error') {
      log.error({ types: errors.map(({ type }) => printable(type)) }, 'the facilitator answered with an error')
      // Without a login nothing else counts. Reconnecting tries again, with growing delays.
      if (!this.#loggedIn) return socket.close()
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

  #start(request: FacilitatorJobRequest, wasOfUse: () => void): void {
    if (this.#repeatLast(request.uuid)) return
    wasOfUse()
    this.#drive(request.uuid, (report, signal) => this.#options.run(request, report, signal))
  }

  #drive(uuid: JobUuid, run: ResumableJob['run']): void {
    const job: RunningJob = { ended: Promise.resolve(), last: undefined }
    const key = uuidKey(uuid)
    this.#jobs.set(key, job)
    const report = (update: V0JobStatusUpdate) => {
      job.last = update
      this.#report(update)
    }
    job.ended = run(report, this.#jobsStop.signal)
      .catch(err => this.#options.log.error({ err, jobUuid: uuid }, 'organic job could not be run'))
      .finally(() => this.#jobs.delete(key))
  }

  /** Sends the last update of a running job again. Returns false when no job of that uuid runs. */
  #repeatLast(uuid: JobUuid): boolean {
    const job = this.#jobs.get(uuidKey(uuid))
    // Without a last update the first one is still to come.
    if (job?.last) this.#report({ ...job.last, uuid })
    return job !== undefined
  }

  /** The facilitator confirms the login, then each update, in order. */
  #receiveAnswer(wasOfUse: () => void): void {
    if (!this.#loggedIn) {
      this.#loggedIn = true
      return
    }
    const [confirmed] = this.#outbox
    if (confirmed && confirmed.sentOn === this.#socket) {
      this.#outbox.shift()
      wasOfUse()
      if (confirmed.update.status !== 'accepted') this.#options.onReported?.(confirmed.update)
    }
    if (this.#outbox.length === 0) this.#allConfirmed.resolve()
  }

  #report(update: V0JobStatusUpdate): void {
    if (this.#outbox.length === 0) this.#allConfirmed = Promise.withResolvers<void>()
    this.#outbox.push({ update })
    if (this.#outbox.length > MAX_KEPT_UPDATES) this.#outbox.shift()
    this.#flush()
  }

  #flush(): void {
    this.#sending = this.#sending.then(() => this.#sendAll())
  }

  /** Sends what was not sent on this connection, in order: what an earlier one left unconfirmed may have been lost. */
  async #sendAll(): Promise<void> {
    const socket = this.#socket
    while (socket && socket === this.#socket) {
      const next = this.#outbox.find(({ sentOn }) => sentOn !== socket)
      if (!next) return
      next.sentOn = socket
      try {
        await socket.send(next.update)
      } catch {
        return
      }
    }
  }
}

function login(hotkey: Hotkey): V0AuthenticationRequest {
  const publicKey = Buffer.from(hotkey.publicKey).toString('hex')
  const signature = `0x${Buffer.from(hotkey.sign(facilitatorLoginBytes(publicKey))).toString('hex')}`
  return { message_type: 'V0AuthenticationRequest', public_key: publicKey, signature }
}

/** Returns the uuid of an invalid job request, so that its sender learns what is wrong with it. */
function uuidIn(frame: string | Uint8Array) {
  try {
    return jobUuid.safeParse((JSON.parse(String(frame)) as { uuid?: unknown } | null)?.uuid).data
  } catch {
    return undefined
  }
}
