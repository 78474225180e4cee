import type { Hotkey } from '@horde/chain/wallet'
import { type Log, silentLog } from '@horde/kit/log'
import { type BackoffOptions, keepConnected } from '@horde/kit/reconnect'
import { dialSocket, type Socket } from '@horde/kit/socket'
import { type Clock, withDeadline } from '@horde/kit/time'
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
import { jobUuid } from '@horde/protocol/primitives'
import { facilitatorLoginBytes } from '@horde/protocol/signing'
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
  heartbeatMs?: number
  reconnect?: BackoffOptions
  clock: Clock
  log: Log
}

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
  readonly #jobs = new Set<Promise<void>>()
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
    this.#running = keepConnected({
      dial: signal => this.#dial(signal),
      use: (socket, signal) => this.#use(socket, signal),
      backoff: options.reconnect ?? RECONNECT,
      stableMs: STABLE_MS,
      clock: options.clock,
      log: options.log.child({ link: 'facilitator' }),
      signal: this.#linkStop.signal,
    })
  }

  get connected(): boolean {
    return this.#socket !== undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { clock, log } = this.#options
    this.#jobsStop.abort()
    await Promise.all(this.#jobs)
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

  async #use(socket: FacilitatorSocket, signal: AbortSignal): Promise<void> {
    await socket.say(login(this.#options.hotkey))
    this.#socket = socket
    this.#loggedIn = false
    this.#options.log.info('facilitator connected')
    const ended = new AbortController()
    const beating = this.#beat(socket, AbortSignal.any([signal, ended.signal]))
    this.#flush()
    try {
      for (let heard = await socket.hear(signal); heard; heard = await socket.hear(signal)) this.#take(heard)
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

  #take({ parsed, frame }: Heard): void {
    const { log } = this.#options
    if (!parsed.ok) {
      log.warn({ err: parsed.error }, 'frame of the facilitator not understood')
      const uuid = uuidIn(frame)
      if (uuid) this.#report(failedUpdate(uuid, `The request was not understood: ${parsed.error.message}`))
    } else if (isJobRequest(parsed.message)) {
      this.#start(parsed.message)
    } else {
      this.#hearAnswer()
      if (parsed.message.status === 'success') return
      log.error({ types: parsed.message.errors.map(({ type }) => type) }, 'facilitator says that something was wrong')
    }
  }

  #start(request: FacilitatorJobRequest): void {
    const job: Promise<void> = this.#options
      .run(request, update => this.#report(update), this.#jobsStop.signal)
      .catch(err => this.#options.log.error({ err, jobUuid: request.uuid }, 'organic job could not be run'))
      .finally(() => this.#jobs.delete(job))
    this.#jobs.add(job)
  }

  /** The facilitator answers the login, then each update, in order. */
  #hearAnswer(): void {
    if (!this.#loggedIn) {
      this.#loggedIn = true
      return
    }
    if (this.#outbox[0]?.saidOn === this.#socket) this.#outbox.shift()
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
