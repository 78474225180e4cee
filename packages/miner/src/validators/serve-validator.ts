/** Serves a validator's connection. Before its signature is verified, nothing is read or done about jobs. */
import type { Log } from '@horde/kit/log'
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'
import type { Parsed } from '@horde/protocol/frame'
import type { JobRequest } from '@horde/protocol/job/messages'
import type { V0AuthenticateRequest, ValidatorMessage } from '@horde/protocol/v0/validator-miner'
import { requestFromV0 } from '@horde/protocol/v0/validator-miner-codec'
import type { JobCounters } from '../operator/metrics/job-counters.ts'
import type { Authenticated } from '../ports/pre-auth-limits.ts'
import { type AuthenticationRules, type Refusal, refusalOf } from './authenticate.ts'
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
  handle(request: JobRequest, connection: ValidatorConnection): Promise<void>
}

export type ValidatorEndpoint = {
  handlers: ConnectionHandlers
  validators: Pick<ValidatorList, 'eligibilityOf' | 'listed'>
  connections: ValidatorConnections
  rules: Omit<AuthenticationRules, 'claimedHotkey'>
  /** How long a peer may take to authenticate, in milliseconds. */
  authenticateWithinMs: number
  counters: Pick<JobCounters, 'refused'>
  clock: Clock
  log: Log
}

/** "Try again later", as a close code. */
const TRY_AGAIN_LATER = 1013

/** Serves a validator's connection until it ends. */
export async function serveValidator(
  socket: ValidatorSocket,
  claimedHotkey: string,
  endpoint: ValidatorEndpoint,
  authenticated: Authenticated,
): Promise<void> {
  const { connections, handlers, clock, log } = endpoint
  const request = await authenticationOf(socket, claimedHotkey, endpoint)
  if ('code' in request) return refuse(socket, claimedHotkey, request, endpoint)
  const connection = new ValidatorConnection(socket, claimedHotkey, request.capabilities ?? [], clock)
  using added = connections.add(connection)
  if (!added) {
    const refusal = { code: 'too-many-connections', why: 'Too many connections of this validator' } as const
    return refuse(socket, claimedHotkey, refusal, endpoint)
  }
  authenticated()
  log.info({ validator: claimedHotkey, connection: connection.number }, 'validator authenticated')
  try {
    await handlers.opened(connection)
    for await (const frame of socket) await handle(frame, connection, endpoint)
  } finally {
    handlers.closed(connection)
    const { code } = await socket.closed
    log.info({ validator: claimedHotkey, connection: connection.number, code }, 'validator disconnected')
  }
}

async function refuse(
  socket: ValidatorSocket,
  claimed: string,
  { code, why, details = why, mayRetry }: Refusal,
  { validators, counters, log }: ValidatorEndpoint,
): Promise<void> {
  // An unknown hotkey is text that an unknown peer chose: it is never logged at info.
  const isKnown = validators.eligibilityOf(claimed) !== 'unknown'
  log.info({ ...(isKnown && { validator: claimed }), why }, 'validator refused')
  log.debug({ claimed, details }, 'who was refused')
  counters.refused(code)
  if (mayRetry) return socket.close(TRY_AGAIN_LATER, 'not ready yet')
  await socket.send(errorMessage(details)).catch(() => {})
  await socket.close(1000, 'not authenticated')
}

/** The authentication when it is good, else why not. The messages behind it stay unread in the socket's queue. */
async function authenticationOf(
  socket: ValidatorSocket,
  claimedHotkey: string,
  endpoint: ValidatorEndpoint,
): Promise<V0AuthenticateRequest | Refusal> {
  const { rules, authenticateWithinMs, clock } = endpoint
  const ineligible = await ineligibilityOf(claimedHotkey, endpoint)
  if (ineligible) return ineligible
  const code = 'not-an-authentication'
  const why = 'The first message must be a V0AuthenticateRequest'
  try {
    const first = await withDeadline(socket.receive(), authenticateWithinMs, 'authentication', clock)
    if (first === undefined) return { code: 'closed', why: 'The connection closed before the authentication' }
    if (!first.ok) return { code, why, details: `${why}: ${first.error.message}` }
    if (first.message.message_type !== 'V0AuthenticateRequest') return { code, why }
    return refusalOf(first.message, { ...rules, claimedHotkey }) ?? first.message
  } catch (error) {
    if (error instanceof DeadlineError) return { code: 'too-late', why: 'The authentication did not come in time' }
    throw error
  }
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
  frame: Parsed<ValidatorMessage>,
  connection: ValidatorConnection,
  { handlers, log }: ValidatorEndpoint,
): Promise<void> {
  if (!frame.ok) {
    await connection.send({ message_type: 'GenericError', details: frame.error.message })
    return
  }
  const { message } = frame
  if (message.message_type === 'V0AuthenticateRequest') {
    await connection.send({ message_type: 'GenericError', details: 'This connection is authenticated already' })
    return
  }
  if (message.message_type !== 'GenericError') return handlers.handle(requestFromV0(message), connection)
  const { validator } = connection
  log.warn({ validator }, 'validator answered with an error')
  log.debug({ validator, details: message.details }, 'details of the error of a validator')
}
