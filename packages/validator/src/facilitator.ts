import type { Hotkey } from '@horde/chain/wallet'
import { type Log, silentLog } from '@horde/kit/log'
import { type BackoffOptions, keepConnected } from '@horde/kit/reconnect'
import { dialSocket, type Socket } from '@horde/kit/socket'
import { type Clock, withDeadline } from '@horde/kit/time'
import { printable } from '@horde/kit/untrusted-text'
import {
  type FacilitatorJobRequest,
  type FacilitatorMessage,
  HEARTBEAT_SECONDS,
  isJobRequest,
  parseFromFacilitator,
  type V0AuthenticationRequest,
  type V0JobStatusUpdate,
  type ValidatorToFacilitatorMessage,
} from '@horde/protocol/facilitator-validator'
import { LARGE_FRAME_BYTES, type Parsed } from '@horde/protocol/frame'
import { type JobUuid, jobUuid, uuidKey } from '@horde/protocol/primitives'
import { facilitatorLoginBytes } from '@horde/protocol/signing'
import type { LeftOrganicJob } from './organic/left-jobs.ts'
import { failedUpdate } from './organic/status-updates.ts'

const RECONNECT: BackoffOptions = { minMs: 1_000, maxMs: 60_000, factor: 2, jitterMs: 1_000 }
/** A connection that lived so long makes the next loss a first one, in ms. */
const STABLE_MS = 30_000
/** How long the last updates may take to be said when the validator stops, in ms. */
const FAREWELL_MS = 2_000
/** How many updates are kept while the facilitator is away; beyond it the oldest are lost. */
const MAX_KEPT_UPDATES = 10_000

export interface FacilitatorOptions {
  uri: string
  hotkey: Hotkey
  /** Runs a job to its end, and reports it; never rejects. */
  run(request: FacilitatorJobRequest, report: (update: V0JobStatusUpdate) => void, signal: AbortSignal): Promise<void>
  /** The jobs that an earlier process left open, or untold. They are taken up before anything is heard. */
  leftJobs?(signal: AbortSignal): Promise<LeftOrganicJob[]>
  /** The facilitator has answered an update that says how a job ended. */
  onTold?(update: V0JobStatusUpdate): void
  heartbeatMs?: number
  reconnect?: BackoffOptions
  clock: Clock
  log: Log
}

/** How it is with the link: `running` jobs, and updates `waiting` for the facilitator's answer. */
export type FacilitatorState = { connected: boolean; running: number; waiting: number }

/** `last`: what was told of it last. */
type RunningJob = { ended: Promise<void>; last: V0JobStatusUpdate | undefined }

type Heard = { parsed: Parsed<FacilitatorMessage>; frame: string | Uint8Array }
type FacilitatorSocket = Socket<Heard, ValidatorToFacilitatorMessage>

/**
 * The link to the facilitator: comes back for ever, runs the jobs that come in, and keeps each update until it is
 * answered, so that none is lost with a connection; one whose answer was lost is told twice. Disposing of it stops the jobs, tells how they ended, and closes.
 */
export class FacilitatorLink implements AsyncDisposable {
  readonly #options: FacilitatorOptions
  readonly #jobsStop = new AbortController()
  readonly #linkStop = new AbortController()
  /** By their uuids' keys. */
  readonly #jobs = new Map<string, RunningJob>()
  /** What the facilitator has not answered yet, in order, and on which connection it was said. */
  readonly #outbox: { update: V0JobStatusUpdate; saidOn?: FacilitatorSocket }[] = []
  readonly #running: Promise<unknown>
  #socket: FacilitatorSocket | undefined
  #loggedIn = false
  #saying: Promise<void> = Promise.resolve()
  #allTold = Promise.withResolvers<void>()

  constructor(options: FacilitatorOptions) {
    this.#options = options
    if (!options.uri.startsWith('wss:'))
      options.log.warn('the facilitator is reached without TLS: others can read along')
    this.#running = this.#takeUp().then(() => this.#stayConnected())
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
      signal: this.#linkStop.signal,
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
      await withDeadline(this.#allTold.promise, FAREWELL_MS, 'last updates', clock).catch(err =>
        log.warn({ err, updates: this.#outbox.length }, 'updates could not be told'),
      )
    }
    this.#linkStop.abort()
    await this.#running
  }

  #dial(signal: AbortSignal): Promise<FacilitatorSocket> {
    const parse = (frame: string | Uint8Array): Heard => ({ parsed: parseFromFacilitator(frame), frame })
    return dialSocket<Heard, ValidatorToFacilitatorMessage>(this.#options.uri, {
      ...{ parse, signal, maxFrameBytes: LARGE_FRAME_BYTES, log: silentLog },
    })
  }

  async #use(socket: FacilitatorSocket, signal: AbortSignal, wasOfUse: () => void): Promise<void> {
    await socket.say(login(this.#options.hotkey))
    this.#socket = socket
    this.#loggedIn = false
    this.#options.log.info('facilitator connected')
    const ended = new AbortController()
    const beating = this.#beat(socket, AbortSignal.any([signal, ended.signal]))
    this.#flush()
    try {
      for (let heard = await socket.hear(signal); heard; heard = await socket.hear(signal))
        await this.#take(heard, socket, wasOfUse)
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
        await socket.say({ message_type: 'V0Heartbeat' })
      }
    } catch {
      // The connection is over: whoever hears on it notices.
    }
  }

  async #take({ parsed, frame }: Heard, socket: FacilitatorSocket, wasOfUse: () => void): Promise<void> {
    const { log } = this.#options
    if (!parsed.ok) {
      const uuid = uuidIn(frame)
      log.warn({ jobUuid: uuid }, 'frame of the facilitator not understood')
      log.debug({ err: parsed.error }, 'what was wrong with it')
      if (uuid && !this.#repeat(uuid)) {
        this.#report(failedUpdate(uuid, `The request was not understood: ${parsed.error.message}`))
      }
      return
    }
    if (isJobRequest(parsed.message)) return this.#start(parsed.message, wasOfUse)
    const { status, errors } = parsed.message
    if (status === 'error') {
      log.error({ types: errors.map(({ type }) => printable(type)) }, 'facilitator says that something was wrong')
      // Without a login nothing that is said counts: it is tried again, later and later.
      if (!this.#loggedIn) return socket.close()
    }
    this.#hearAnswer(wasOfUse)
  }

  async #takeUp(): Promise<void> {
    try {
      const left = (await this.#options.leftJobs?.(this.#jobsStop.signal)) ?? []
      if (this.#jobsStop.signal.aborted) return
      for (const { uuid, run } of left) this.#drive(uuid, run)
    } catch (err) {
      this.#options.log.error({ err }, 'organic jobs that were left open could not be taken up')
    }
  }

  #start(request: FacilitatorJobRequest, wasOfUse: () => void): void {
    if (this.#repeat(request.uuid)) return
    wasOfUse()
    this.#drive(request.uuid, (report, signal) => this.#options.run(request, report, signal))
  }

  #drive(uuid: JobUuid, run: LeftOrganicJob['run']): void {
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

  /** Tells again how it is with a job that is running; false when none of that uuid is. */
  #repeat(uuid: JobUuid): boolean {
    const job = this.#jobs.get(uuidKey(uuid))
    // One of which nothing was told yet will be told of soon.
    if (job?.last) this.#report({ ...job.last, uuid })
    return job !== undefined
  }

  /** The facilitator answers the login, then each update, in order. */
  #hearAnswer(wasOfUse: () => void): void {
    if (!this.#loggedIn) {
      this.#loggedIn = true
      return
    }
    const [answered] = this.#outbox
    if (answered && answered.saidOn === this.#socket) {
      this.#outbox.shift()
      wasOfUse()
      if (answered.update.status !== 'accepted') this.#options.onTold?.(answered.update)
    }
    if (this.#outbox.length === 0) this.#allTold.resolve()
  }

  #report(update: V0JobStatusUpdate): void {
    if (this.#outbox.length === 0) this.#allTold = Promise.withResolvers<void>()
    this.#outbox.push({ update })
    if (this.#outbox.length > MAX_KEPT_UPDATES) this.#outbox.shift()
    this.#flush()
  }

  #flush(): void {
    this.#saying = this.#saying.then(() => this.#sayAll())
  }

  /** Says what was not said on this connection, in order: what an earlier one left unanswered may have been lost. */
  async #sayAll(): Promise<void> {
    const socket = this.#socket
    while (socket && socket === this.#socket) {
      const next = this.#outbox.find(({ saidOn }) => saidOn !== socket)
      if (!next) return
      next.saidOn = socket
      try {
        await socket.say(next.update)
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

/** The uuid of a job request that is wrong otherwise: whoever asked for it is to know. */
function uuidIn(frame: string | Uint8Array) {
  try {
    return jobUuid.safeParse((JSON.parse(String(frame)) as { uuid?: unknown } | null)?.uuid).data
  } catch {
    return undefined
  }
}
