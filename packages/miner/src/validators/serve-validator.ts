/** A validator's connection from its first byte on: nothing is said or done about jobs before its signature is verified. */
import type { Log } from '@horde/kit/log'
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'
import type { Parsed } from '@horde/protocol/frame'
import type { V0AuthenticateRequest, ValidatorMessage } from '@horde/protocol/validator-miner'
import type { Admit } from '../doorstep.ts'
import type { JobCounters } from '../operator/metrics/job-counters.ts'
import { errorOf, ValidatorSession, type ValidatorSocket } from '../validator-session.ts'
import type { ValidatorList } from '../validators.ts'
import { type AuthenticationRules, refusalOf, SIGNED_BEFORE_START } from './authenticate.ts'
import type { ValidatorSessions } from './validator-sessions.ts'

/** What a verified connection is served with. */
export type ValidatorDesk = {
  arrived(session: ValidatorSession): Promise<void>
  left(session: ValidatorSession): void
  hear(message: Exclude<ValidatorMessage, V0AuthenticateRequest>, session: ValidatorSession): Promise<void>
}

export type ValidatorEdge = {
  desk: ValidatorDesk
  validators: Pick<ValidatorList, 'standingOf' | 'listed'>
  sessions: ValidatorSessions
  rules: Omit<AuthenticationRules, 'claimedHotkey'>
  /** How long a peer may take to authenticate, in milliseconds. */
  authenticateWithinMs: number
  counters: Pick<JobCounters, 'refused'>
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
  const session = new ValidatorSession(socket, claimedHotkey, request.capabilities ?? [], edge.clock)
  using place = edge.sessions.take(session)
  if (!place) return refuse(socket, claimedHotkey, { why: 'Too many connections of this validator' }, edge)
  admit()
  edge.log.info({ validator: claimedHotkey, connection: session.number }, 'validator authenticated')
  try {
    await edge.desk.arrived(session)
    for await (const heard of socket) await hear(heard, session, edge)
  } finally {
    edge.desk.left(session)
    const { code } = await socket.closed
    edge.log.info({ validator: claimedHotkey, connection: session.number, code }, 'validator disconnected')
  }
}

/**
 * Why a connection is refused: a constant sentence for the log, and for the peer what it said that was wrong. One that may
 * come again hears no error: peers take an error for the last word.
 */
type Refusal = { why: string; details?: string; mayComeAgain?: boolean }

/** "Try again later", as a close code. */
const TRY_AGAIN_LATER = 1013

async function refuse(socket: ValidatorSocket, claimed: string, refusal: Refusal, edge: ValidatorEdge): Promise<void> {
  const { why, details = why } = refusal
  // The hotkey of a stranger is no more than what a stranger said.
  const isKnown = edge.validators.standingOf(claimed) !== 'unknown'
  edge.log.info({ ...(isKnown && { validator: claimed }), why }, 'validator refused')
  edge.log.debug({ claimed, details }, 'who was refused')
  edge.counters.refused(why)
  if (refusal.mayComeAgain) return socket.close(TRY_AGAIN_LATER, 'not ready yet')
  await socket.say(errorOf(details)).catch(() => {})
  await socket.close(1000, 'not authenticated')
}

/** The authentication when it is good, else why not. What comes behind it stays unread in the socket's queue. */
async function authenticated(
  socket: ValidatorSocket,
  claimedHotkey: string,
  edge: ValidatorEdge,
): Promise<V0AuthenticateRequest | Refusal> {
  const standing = await standingOf(claimedHotkey, edge)
  if (standing === undefined) return { why: 'The chain has not said yet who the validators are', mayComeAgain: true }
  if (standing === 'unknown') return { why: 'Unknown validator', details: `Unknown validator: ${claimedHotkey}` }
  if (standing === 'inactive') return { why: 'Inactive validator' }
  const unauthenticated = 'The first message must be a V0AuthenticateRequest'
  try {
    const first = await withDeadline(socket.hear(), edge.authenticateWithinMs, 'authentication', edge.clock)
    if (first === undefined) return { why: 'The connection closed before the authentication' }
    if (!first.ok) return { why: unauthenticated, details: `${unauthenticated}: ${first.error.message}` }
    if (first.message.message_type !== 'V0AuthenticateRequest') return { why: unauthenticated }
    const why = refusalOf(first.message, { ...edge.rules, claimedHotkey })
    return why === undefined ? first.message : { why, mayComeAgain: why === SIGNED_BEFORE_START }
  } catch (error) {
    if (error instanceof DeadlineError) return { why: 'The authentication did not come in time' }
    throw error
  }
}

/** A miner that has just started waits for the chain before it calls anybody a stranger. Undefined: it says nothing. */
async function standingOf(hotkey: string, { validators, authenticateWithinMs, clock }: ValidatorEdge) {
  if (validators.standingOf(hotkey) !== 'active') {
    const listed = withDeadline(validators.listed, authenticateWithinMs, 'the list of validators', clock)
    const isListed = await listed.then(
      () => true,
      () => false,
    )
    if (!isListed) return undefined
  }
  return validators.standingOf(hotkey)
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
