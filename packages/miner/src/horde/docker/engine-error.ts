/** What an engine, or the way to it, answers when it does not do what was asked, in words for the operator. */

/** The engine refused, or could not be reached. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  /** The status of the engine's answer; undefined when it did not answer. */
  readonly status: number | undefined
  /** Set when the call took too long: settles when the engine answers after all. It may still do what it was asked for. */
  readonly lateAnswer: Promise<unknown> | undefined

  constructor(
    message: string,
    options: { status?: number | undefined; lateAnswer?: Promise<unknown> | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause })
    this.status = options.status
    this.lateAnswer = options.lateAnswer
  }
}

/** By the codes of Node and OpenSSL. */
const MEANINGS: readonly [RegExp, string][] = [
  [
    /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER_CERT.*|CERT_SIGNATURE_FAILURE|ERR_SSL_.*CERTIFICATE_VERIFY_FAILED)$/,
    "the engine's certificate is not signed by the CA in tls.ca",
  ],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, "the engine's certificate is for another host"],
  [/^CERT_HAS_EXPIRED$/, "the engine's certificate has expired"],
  [/^CERT_NOT_YET_VALID$/, "the engine's certificate is not valid yet: the clocks differ"],
  [
    /^ERR_SSL_.*ALERT_(CERTIFICATE_REQUIRED|UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|ACCESS_DENIED)$/,
    "the engine does not accept this miner's certificate, tls.cert",
  ],
  [/^(EPROTO|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG)$/, 'the engine does not speak TLS there'],
  [/^ECONNREFUSED$/, 'nobody listens there'],
  [/^ENOENT$/, 'there is no such socket'],
  [/^EACCES$/, 'this user may not use the socket'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'the name of its host is unknown'],
  [/^(EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/, 'its host does not answer'],
]

/** Whether a connection to the engine broke off: the way there may know why. */
export function isBrokenOff(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE'].includes((error as Answer).code ?? '')
}

/**
 * @param what was being done
 * @param url the engine's
 * @param trouble what the way to the engine says of it
 */
export function engineError(what: string, url: string, cause: unknown, trouble?: string): EngineError {
  if (cause instanceof EngineError) return cause
  const { statusCode: status, json, message, code } = cause as Answer
  const told = (json as { message?: unknown } | undefined)?.message
  if (status !== undefined) {
    return new EngineError(`${what}: ${typeof told === 'string' ? told : message}`, { status, cause })
  }
  const meaning = trouble ?? MEANINGS.find(([pattern]) => code !== undefined && pattern.test(code))?.[1]
  return new EngineError(`${what}: the engine at ${url} could not be asked: ${meaning ?? message}`, { cause })
}

type Answer = { statusCode?: number; json?: unknown; message?: string; code?: string }
