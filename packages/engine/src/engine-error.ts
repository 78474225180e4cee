/** Errors of the container engine, and of the connection to it. */
import { DeadlineError } from '@horde/kit/time'
import type { EngineProblem, ProblemReader } from './engine-problem.ts'

/**
 * What went wrong, as far as a caller can act on it:
 * - `unreachable`: the connection failed, or broke off before the answer came
 * - `late`: the engine did not answer within the time limit of the call
 * - `invalid` (status 400), `not-found` (404), `conflict` (409): the engine refused the call
 * - `unchanged` (304): there was nothing to do
 * - `refused`: the engine refused the call with any other status, or reported an error in the middle of its answer
 */
export type EngineErrorCode = 'unreachable' | 'late' | 'invalid' | 'not-found' | 'conflict' | 'unchanged' | 'refused'

interface EngineErrorOptions {
  code: EngineErrorCode
  problem?: EngineProblem | undefined
  lateAnswer?: Promise<unknown> | undefined
  cause?: unknown
}

/** The engine refused a call, or could not be reached. The message is for the operator. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly code: EngineErrorCode
  /** What the engine's sentence means, where the engine has no status of its own for it. */
  readonly problem: EngineProblem | undefined
  /** Set when the code is `late`: settles when the engine answers after all. The engine may still do what was asked. */
  readonly lateAnswer: Promise<unknown> | undefined

  constructor(message: string, { code, problem, lateAnswer, cause }: EngineErrorOptions) {
    super(message, { cause })
    this.code = code
    this.problem = problem
    this.lateAnswer = lateAnswer
  }
}

/** Whether an error means that the engine did not answer at all, so that the same call may succeed later. */
export function isUnanswered(error: unknown): error is EngineError {
  return error instanceof EngineError && (error.code === 'unreachable' || error.code === 'late')
}

/** Whether an error is the engine's answer to a call, a refusal. */
export function isRefusal(error: unknown): error is EngineError {
  return error instanceof EngineError && !isUnanswered(error)
}

/** Whether an error has one of these codes. */
export function hasCode(error: unknown, ...codes: EngineErrorCode[]): error is EngineError {
  return error instanceof EngineError && codes.includes(error.code)
}

const CODES: Record<number, EngineErrorCode> = { 304: 'unchanged', 400: 'invalid', 404: 'not-found', 409: 'conflict' }

/** What the error codes of Node and OpenSSL mean, for the operator. */
const MEANINGS: readonly [RegExp, string][] = [
  [
    new RegExp(
      '^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|' +
        'UNABLE_TO_GET_ISSUER_CERT.*|CERT_SIGNATURE_FAILURE|ERR_SSL_.*CERTIFICATE_VERIFY_FAILED)$',
    ),
    "the engine's certificate is not signed by the CA in tls.ca",
  ],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, "the engine's certificate is for another host"],
  [/^CERT_HAS_EXPIRED$/, "the engine's certificate has expired"],
  [/^CERT_NOT_YET_VALID$/, "the engine's certificate is not valid yet: the clocks differ"],
  [
    new RegExp(
      '^ERR_SSL_.*ALERT_(CERTIFICATE_REQUIRED|UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_EXPIRED|' +
        'CERTIFICATE_UNKNOWN|ACCESS_DENIED)$',
    ),
    "the engine does not accept this miner's certificate, tls.cert",
  ],
  [/^(EPROTO|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG)$/, 'the engine does not speak TLS there'],
  [/^ECONNREFUSED$/, 'nothing listens there'],
  [/^ENOENT$/, 'there is no such socket'],
  [/^EACCES$/, 'this user may not use the socket'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'the name of its host is unknown'],
  [/^(EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/, 'its host does not answer'],
]

/** Whether the connection to the engine broke off in the middle: the tunnel to it may know why. */
export function isBrokenOff(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE'].includes((error as Answer).code ?? '')
}

/** One call to the engine, for error messages. */
export interface FailedCall {
  /** What was being done, such as `creating a container`. */
  doing: string
  /** The engine's URL. */
  url: string
  /** Reads the engine's sentence. */
  problem?: ProblemReader | undefined
  /** Why the connection broke off, where the tunnel knows. */
  failure?: string | undefined
  /** The answer that did not come in time. */
  lateAnswer?: Promise<unknown> | undefined
}

/** Returns the error of a call, from what the client library, the socket or the deadline threw. */
export function engineError(call: FailedCall, cause: unknown): EngineError {
  if (cause instanceof EngineError) return cause
  const { doing, url, lateAnswer } = call
  if (cause instanceof DeadlineError && lateAnswer !== undefined) {
    const message = `${doing}: the engine at ${url} did not answer within ${cause.ms / 1_000} s`
    return new EngineError(message, { code: 'late', lateAnswer, cause })
  }
  const { statusCode: status, json, message = '', code } = cause as Answer
  const refusal = (json as { message?: unknown } | undefined)?.message
  const text = typeof refusal === 'string' ? refusal : message
  const problem = call.problem?.(text)
  if (status !== undefined) {
    return new EngineError(`${doing}: ${text}`, { code: CODES[status] ?? 'refused', problem, cause })
  }
  const meaning = call.failure ?? MEANINGS.find(([pattern]) => code !== undefined && pattern.test(code))?.[1]
  const sentence = `${doing}: the engine at ${url} could not be reached: ${meaning ?? message}`
  return new EngineError(sentence, { code: 'unreachable', problem, cause })
}

type Answer = { statusCode?: number; json?: unknown; message?: string; code?: string }
