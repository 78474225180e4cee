/** One connection of one validator: nothing is said or done about jobs before its signature is verified. */
import type { Log } from '@horde/kit/log'
import type { Socket } from '@horde/kit/socket'
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'
import { largestFrameFor, type Parsed } from '@horde/protocol/frame'
import { fitFrame } from '@horde/protocol/shorten'
import type { MinerMessage, V0AuthenticateRequest, ValidatorMessage } from '@horde/protocol/validator-miner'
import { type AuthenticationRules, refusalOf } from './authenticate.ts'
import type { Admit, HeldConnections } from './doorstep.ts'
import type { Tally } from './metrics/tally.ts'

export type ValidatorSocket = Socket<Parsed<ValidatorMessage>, MinerMessage>

/** How long a validator may take to take a message off the wire, in milliseconds; one that does not is as good as gone. */
const SAY_WITHIN_MS = 60_000

let connections = 0

/** A verified connection. What it was told about a job is remembered: a ready or a result is never said twice on it. */
export class ValidatorSession {
  readonly validator: string
  /** Later connections have higher numbers. */
  readonly number = ++connections
  readonly capabilities: ReadonlySet<string>
  readonly #socket: ValidatorSocket
  readonly #clock: Clock
  readonly #told = new Set<string>()

  constructor(socket: ValidatorSocket, validator: string, capabilities: readonly string[], clock: Clock) {
    this.#socket = socket
    this.#clock = clock
    this.validator = validator
    this.capabilities = new Set(capabilities)
  }

  get isOpen(): boolean {
    return this.#socket.isOpen
  }

  /** Says a message, its texts cut to what the peer takes. False when the connection is gone. */
  async say(message: MinerMessage): Promise<boolean> {
    if (!this.isOpen) return false
    const limit = largestFrameFor([...this.capabilities])
    const fitted = 'docker_process_stdout' in message ? fitFrame(message, limit) : message
    try {
      await withDeadline(this.#socket.say(fitted), SAY_WITHIN_MS, 'saying to a validator', this.#clock)
      return true
    } catch {
      // A job that waits for its words to be said would keep its executor.
      void this.#socket.close()
      return false
    }
  }

  /** Says a message unless this connection has been told its like about that job. False when it was not said now. */
  async sayOnce(jobId: number, message: MinerMessage): Promise<boolean> {
    if (this.wasTold(jobId, message)) return false
    this.#told.add(`${jobId} ${message.message_type}`)
    return this.say(message)
  }

  wasTold(jobId: number, { message_type }: MinerMessage): boolean {
    return this.#told.has(`${jobId} ${message_type}`)
  }
}

/** What a verified connection is served with. */
export type ValidatorDesk = {
  arrived(session: ValidatorSession): Promise<void>
  left(session: ValidatorSession): Promise<void>
  hear(message: Exclude<ValidatorMessage, V0AuthenticateRequest>, session: ValidatorSession): Promise<void>
}

export type ValidatorEdge = {
  desk: ValidatorDesk
  isValidator(hotkey: string): boolean
  held: HeldConnections
  rules: Omit<AuthenticationRules, 'claimedHotkey'>
  /** How long a peer may take to authenticate, in milliseconds. */
  authenticateWithinMs: number
  tally: Pick<Tally, 'refused'>
  clock: Clock
  log: Log
}

/** Serves a validator's connection until it ends. */
export async function serveValidator(
  socket: ValidatorSocket,
  claimedHotkey: string,
  edge: ValidatorEdge,
  admit: Admit,
): Promise<void> {
  const request = await authenticated(socket, claimedHotkey, edge)
  if ('why' in request) return refuse(socket, claimedHotkey, request, edge)
  using place = edge.held.take(claimedHotkey)
  if (!place) return refuse(socket, claimedHotkey, { why: 'Too many connections of this validator' }, edge)
  admit()
  const session = new ValidatorSession(socket, claimedHotkey, request.capabilities ?? [], edge.clock)
  edge.log.info({ validator: claimedHotkey, connection: session.number }, 'validator authenticated')
  try {
    await edge.desk.arrived(session)
    for await (const heard of socket) await hear(heard, session, edge)
  } finally {
    await edge.desk.left(session)
    const { code } = await socket.closed
    edge.log.info({ validator: claimedHotkey, connection: session.number, code }, 'validator disconnected')
  }
}

/** Why a connection is refused: a constant sentence for the log, and for the peer what it said that was wrong. */
type Refusal = { why: string; details?: string }

async function refuse(socket: ValidatorSocket, claimed: string, refusal: Refusal, edge: ValidatorEdge): Promise<void> {
  const { why, details = why } = refusal
  // The hotkey of a stranger is no more than what a stranger said.
  edge.log.info({ ...(edge.isValidator(claimed) && { validator: claimed }), why }, 'validator refused')
  edge.log.debug({ claimed, details }, 'who was refused')
  edge.tally.refused(why)
  await socket.say({ message_type: 'GenericError', details }).catch(() => {})
  await socket.close(1000, 'not authenticated')
}

/** The authentication when it is good, else why not. What comes behind it stays unread in the socket's queue. */
async function authenticated(
  socket: ValidatorSocket,
  claimedHotkey: string,
  edge: ValidatorEdge,
): Promise<V0AuthenticateRequest | Refusal> {
  if (!edge.isValidator(claimedHotkey)) {
    return { why: 'Unknown validator', details: `Unknown validator: ${claimedHotkey}` }
  }
  const unauthenticated = 'The first message must be a V0AuthenticateRequest'
  try {
    const first = await withDeadline(socket.hear(), edge.authenticateWithinMs, 'authentication', edge.clock)
    if (first === undefined) return { why: 'The connection closed before the authentication' }
    if (!first.ok) return { why: unauthenticated, details: `${unauthenticated}: ${first.error.message}` }
    if (first.message.message_type !== 'V0AuthenticateRequest') return { why: unauthenticated }
    const why = refusalOf(first.message, { ...edge.rules, claimedHotkey })
    return why === undefined ? first.message : { why }
  } catch (error) {
    if (error instanceof DeadlineError) return { why: 'The authentication did not come in time' }
    throw error
  }
}

async function hear(heard: Parsed<ValidatorMessage>, session: ValidatorSession, edge: ValidatorEdge): Promise<void> {
  if (!heard.ok) {
    await session.say({ message_type: 'GenericError', details: heard.error.message })
    return
  }
  const { message } = heard
  if (message.message_type === 'V0AuthenticateRequest') {
    await session.say({ message_type: 'GenericError', details: 'This connection is authenticated already' })
    return
  }
  await edge.desk.hear(message, session)
}
