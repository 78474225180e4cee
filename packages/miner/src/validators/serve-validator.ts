/** Serves a validator's connection. Before its signature is verified, nothing is read or done about jobs. */
import type { Log } from '@horde/kit/log'
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'
import type { JobRequest } from '@horde/protocol/job/messages'
import type { JobCounters } from '../operator/metrics/job-counters.ts'
import type { Authenticated } from '../ports/pre-auth-limits.ts'
import { type AuthenticationRules, type Refusal, refusalOf } from './authenticate.ts'
import type { Claim, Proof, ReceiptMessage, ValidatorDialect } from './dialects/dialect.ts'
import { dialectOfFirst } from './dialects/first-frame.ts'
import { dialectV0 } from './dialects/v0.ts'
import { dialectV2026 } from './dialects/v2026.ts'
import type { Listening } from './listen.ts'
import {
  errorMessage,
  ValidatorConnection,
  type ValidatorConnections,
  type ValidatorSocket,
} from './validator-connection.ts'
import type { ValidatorList } from './validator-list.ts'

/** What happens on an authenticated connection. */
export type ConnectionHandlers = {
  opened(connection: ValidatorConnection): Promise<void>
  closed(connection: ValidatorConnection): void
  handle(request: JobRequest, proof: Proof | undefined, connection: ValidatorConnection): Promise<void>
  /** @param isAuthenticated whether the connection is: one that only listens may send receipts of its jobs, too */
  takeReceipt(receipt: ReceiptMessage, connection: ValidatorConnection, isAuthenticated: boolean): Promise<void>
  /**
   * Sends what happens to the jobs of a validator that has come back without authenticating, as those of January 2026
   * do: see validators/listen.ts. Undefined when it has none that it may be told of.
   */
  listen(connection: ValidatorConnection): Listening | undefined
  /** Tells a validator how many executors of each class there are. */
  sendManifest(connection: ValidatorConnection): Promise<void>
}

/** What a peer shows of itself when it connects. */
export type ValidatorPeer = {
  /** The hotkey in the path that it dialled. */
  claimedHotkey: string
  /** Those in the header of its request. */
  capabilities: readonly string[]
  /** The address that it dialled from. */
  address: string
}

export type ValidatorEndpoint = {
  handlers: ConnectionHandlers
  validators: Pick<ValidatorList, 'eligibilityOf' | 'listed'>
  connections: ValidatorConnections
  rules: Omit<AuthenticationRules, 'claimedHotkey'>
  /** The hotkey that validators of v2026 are told as this miner's main one. */
  mainHotkey: string
  /** How long a peer may take to authenticate, in milliseconds. */
  authenticateWithinMs: number
  counters: Pick<JobCounters, 'refused'>
  clock: Clock
  log: Log
}

/** "Try again later", as a close code. */
const TRY_AGAIN_LATER = 1013

/**
 * How long a refused validator of v2026 waits for the close, in milliseconds: a Python validator dials again at once,
 * for ever.
 */
const REFUSED_WAITS_MS = 3_000

/** Serves a validator's connection until it ends. */
export async function serveValidator(
  socket: ValidatorSocket,
  peer: ValidatorPeer,
  endpoint: ValidatorEndpoint,
  authenticated: Authenticated,
): Promise<void> {
  const { claimedHotkey } = peer
  const { connections, handlers, clock, log } = endpoint
  const opening = await openingOf(socket, peer, endpoint)
  if ('refusal' in opening) return refuse(socket, claimedHotkey, opening, endpoint)
  const { dialect, claim, waiting } = opening
  const capabilities = [...new Set([...peer.capabilities, ...claim.capabilities])]
  const connection = new ValidatorConnection(socket, claimedHotkey, capabilities, clock, dialect, peer.address)
  using added = connections.add(connection)
  if (!added) {
    // Validators of v2026 open a connection for each job, and one becomes free soon. Those of v0 need no more.
    const mayRetry = dialect.name === 'v2026'
    const why = 'Too many connections of this validator'
    const refusal = { code: 'too-many-connections', why, mayRetry } as const
    return refuse(socket, claimedHotkey, { refusal, dialect }, endpoint)
  }
  authenticated()
  const fields = { validator: claimedHotkey, connection: connection.number }
  log.info({ ...fields, dialect: dialect.name }, 'validator authenticated')
  try {
    await handlers.opened(connection)
    for (const frame of waiting) await handle(frame, connection, endpoint)
    for await (const frame of socket) await handle(frame, connection, endpoint)
  } finally {
    handlers.closed(connection)
    const { code } = await socket.closed
    log.info({ ...fields, code }, 'validator disconnected')
  }
}

/** `dialect`: undefined before the first frame. */
type Refused = { refusal: Refusal; dialect: ValidatorDialect | undefined }

async function refuse(
  socket: ValidatorSocket,
  claimed: string,
  { refusal: { code, why, details = why, mayRetry }, dialect }: Refused,
  endpoint: ValidatorEndpoint,
): Promise<void> {
  const { validators, counters, clock, log } = endpoint
  // An unknown hotkey is text that an unknown peer chose: it is never logged at info.
  const isKnown = validators.eligibilityOf(claimed) !== 'unknown'
  log.info({ ...(isKnown && { validator: claimed }), why }, 'validator refused')
  log.debug({ claimed, details }, 'who was refused')
  counters.refused(code)
  if (!mayRetry) await socket.send(errorMessage(details)).catch(() => {})
  if (await isOf2026(socket, dialect, endpoint)) await pause(socket, clock)
  return mayRetry ? socket.close(TRY_AGAIN_LATER, 'not ready yet') : socket.close(1000, 'not authenticated')
}

/** Reads the first frame of a peer that was refused before it. */
async function isOf2026(
  socket: ValidatorSocket,
  dialect: ValidatorDialect | undefined,
  { authenticateWithinMs, clock }: ValidatorEndpoint,
): Promise<boolean> {
  if (dialect !== undefined) return dialect.name === 'v2026'
  const first = await withDeadline(socket.receive(), authenticateWithinMs, 'a frame', clock).catch(() => undefined)
  return first !== undefined && dialectOfFirst(first).dialect.name === 'v2026'
}

async function pause(socket: ValidatorSocket, clock: Clock): Promise<void> {
  const over = new AbortController()
  await Promise.race([clock.sleep(REFUSED_WAITS_MS, over.signal).catch(() => {}), socket.closed])
  over.abort()
}

/** How a connection begins: a good authentication, and the frames before it. Those behind it stay in the socket. */
type Opening = { dialect: ValidatorDialect; claim: Claim; waiting: (string | Uint8Array)[] }

async function openingOf(
  socket: ValidatorSocket,
  peer: ValidatorPeer,
  endpoint: ValidatorEndpoint,
): Promise<Opening | Refused> {
  const { claimedHotkey } = peer
  const { authenticateWithinMs, clock } = endpoint
  const ineligible = await ineligibilityOf(claimedHotkey, endpoint)
  if (ineligible) return { refusal: ineligible, dialect: undefined }
  try {
    const waiting: (string | Uint8Array)[] = []
    const first = firstFrames(socket, waiting)
    await listenUntil(first, waiting, socket, peer, endpoint)
    const { frame, dialect } = await withDeadline(first, authenticateWithinMs, 'authentication', clock)
    if (frame === undefined) {
      return { refusal: { code: 'closed', why: 'The connection closed before the authentication' }, dialect }
    }
    const claim = claimIn(frame, dialect)
    if ('code' in claim) return { refusal: claim, dialect }
    const refusal = refusalOf(claim, { ...endpoint.rules, claimedHotkey })
    return refusal ? { refusal, dialect } : { dialect, claim, waiting }
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error
    const refusal = { code: 'too-late', why: 'The authentication did not come in time' } as const
    return { refusal, dialect: dialectOfNone }
  }
}

/** Reads up to the first frame that need not wait for an authentication. The port limits how many come before it. */
async function firstFrames(socket: ValidatorSocket, waiting: (string | Uint8Array)[]): Promise<First> {
  for (;;) {
    const frame = await socket.receive()
    if (frame === undefined) return { frame, dialect: dialectOfNone }
    const { dialect, waits } = dialectOfFirst(frame)
    if (!waits) return { frame, dialect }
    waiting.push(frame)
  }
}

type First = { frame: string | Uint8Array | undefined; dialect: ValidatorDialect }

/** How long a validator that comes back may take before it counts as one that does not authenticate, in milliseconds. */
const LISTENS_AFTER_MS = 500
/** How often receipts are taken of one, and is seen whether its jobs go on, in milliseconds. */
const LISTEN_EVERY_MS = 200

/** Serves a validator that may not authenticate for as long as it has jobs: it gets messages, and may send receipts. */
async function listenUntil(
  first: Promise<First>,
  waiting: (string | Uint8Array)[],
  socket: ValidatorSocket,
  { claimedHotkey, address }: ValidatorPeer,
  { handlers, clock }: ValidatorEndpoint,
): Promise<void> {
  const came = new AbortController()
  const isHere = first.then(() => came.abort())
  const pauseFor = (ms: number) => clock.sleep(ms, came.signal).catch(() => {})
  await pauseFor(LISTENS_AFTER_MS)
  if (came.signal.aborted) return isHere
  const connection = new ValidatorConnection(socket, claimedHotkey, [], clock, dialectV2026, address)
  using listening = handlers.listen(connection)
  while (listening?.goesOn() && !came.signal.aborted) {
    await pauseFor(LISTEN_EVERY_MS)
    for (const frame of waiting.splice(0)) {
      const parsed = dialectV2026.parse(frame)
      if (!parsed.ok || parsed.message.kind !== 'receipt') continue
      const { message } = parsed
      if (listening.isOf(message.payload.job_uuid)) await handlers.takeReceipt(message, connection, false)
    }
  }
}

/** That of a peer that says nothing. */
const dialectOfNone = dialectV0

function claimIn(frame: string | Uint8Array, dialect: ValidatorDialect): Claim | Refusal {
  const code = 'not-an-authentication'
  const why = 'The first message must be a V0AuthenticateRequest'
  const first = dialect.parse(frame)
  if (!first.ok) return { code, why, details: `${why}: ${first.error.message}` }
  return first.message.kind === 'authentication' ? first.message.claim : { code, why }
}

/** Why a hotkey is refused whatever it signs. A miner that has just started waits for the chain before it decides. */
async function ineligibilityOf(
  hotkey: string,
  { validators, authenticateWithinMs, clock }: ValidatorEndpoint,
): Promise<Refusal | undefined> {
  if (validators.eligibilityOf(hotkey) !== 'active') {
    const listed = withDeadline(validators.listed, authenticateWithinMs, 'the list of validators', clock)
    const isListed = await listed.then(
      () => true,
      () => false,
    )
    const why = 'The miner has not read the list of validators from the chain yet'
    if (!isListed) return { code: 'no-list-yet', why, mayRetry: true }
  }
  switch (validators.eligibilityOf(hotkey)) {
    case 'active':
      return undefined
    case 'inactive':
      return { code: 'inactive-validator', why: 'Inactive validator' }
    case 'unknown':
      return { code: 'unknown-validator', why: 'Unknown validator', details: `Unknown validator: ${hotkey}` }
  }
}

async function handle(
  frame: string | Uint8Array,
  connection: ValidatorConnection,
  endpoint: ValidatorEndpoint,
): Promise<void> {
  const { handlers, mainHotkey, log } = endpoint
  const parsed = connection.dialect.parse(frame)
  if (!parsed.ok) return connection.sendError(parsed.error.message)
  const { message } = parsed
  const { validator } = connection
  switch (message.kind) {
    case 'authentication':
      return authenticateAgain(message.claim, connection, endpoint)
    case 'request':
      return handlers.handle(message.request, message.proof, connection)
    case 'receipt':
      return handlers.takeReceipt(message, connection, true)
    case 'main-hotkey':
      await connection.send({ message_type: 'V0MainHotkeyMessage', ...{ main_hotkey: mainHotkey } })
      return
    case 'error':
      log.warn({ validator }, 'validator answered with an error')
      log.debug({ validator, details: message.details }, 'details of the error of a validator')
  }
}

/** After a lost connection, a Python validator of October 2026 authenticates twice on the next one. */
async function authenticateAgain(
  claim: Claim,
  connection: ValidatorConnection,
  { handlers, rules, counters }: ValidatorEndpoint,
): Promise<void> {
  if (connection.dialect.name === 'v0') return connection.sendError('This connection is authenticated already')
  const refusal = refusalOf(claim, { ...rules, claimedHotkey: connection.validator })
  if (!refusal) return handlers.sendManifest(connection)
  counters.refused(refusal.code)
  return connection.sendError(refusal.details ?? refusal.why)
}
