/** Requests a URL and goes where it redirects, checking each address on the way. */
import type { IncomingMessage } from 'node:http'
import { openResponse, RequestError } from './request.ts'
import { logRefusal } from './response-text.ts'
import { type RetryDeps, statusError } from './retry.ts'
import { TargetError } from './targets.ts'

const MAX_REDIRECTS = 5
const REDIRECTS = [301, 302, 303, 307, 308]

export interface Source {
  url: string
  /** The value of the header Authorization. Secret: only the URL's own origin gets it, no other one by a redirect. */
  authorization?: string | undefined
  /** An origin that the operator chose: it may lie in a private network. */
  trustedOrigin?: string | undefined
}

export interface FollowOptions {
  headers: Record<string, string>
  allowPrivate: boolean
  /** Whether a status is what the caller waits for. Redirects are followed, and all others are errors. */
  isAnswer(status: number): boolean
}

/**
 * Returns the answer to a GET, after its redirects. The caller must read or destroy its body. Rejects with TargetError,
 * RequestError, or the signal's reason.
 */
export async function follow(
  source: Source,
  { headers, allowPrivate, isAnswer }: FollowOptions,
  { clock, log }: RetryDeps,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  let url = source.url
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const response = await openResponse(url, {
      method: 'GET',
      headers: { ...headers, ...authorizationFor(url, source) },
      allowPrivate: allowPrivate || (source.trustedOrigin !== undefined && originOf(url) === source.trustedOrigin),
      signal,
    })
    const { statusCode: status = 0 } = response
    if (isAnswer(status)) return response
    const location = REDIRECTS.includes(status) ? response.headers.location : undefined
    if (location === undefined) await logRefusal(response, log, signal)
    response.destroy()
    if (location === undefined) throw statusError(response, clock.now())
    url = redirected(url, location)
  }
  throw new RequestError(`more than ${MAX_REDIRECTS} redirects`, { retryable: false })
}

function authorizationFor(url: string, { url: start, authorization }: Source): Record<string, string> {
  return authorization !== undefined && originOf(url) === originOf(start) ? { Authorization: authorization } : {}
}

/** Returns scheme, host and port; undefined for a text that is no URL. */
function originOf(url: string): string | undefined {
  return URL.parse(url)?.origin
}

function redirected(from: string, location: string): string {
  const to = URL.parse(location, from)
  if (to === null) throw new TargetError('its redirect is not a URL')
  if (to.protocol === 'http:' && /^https:/i.test(from.trim())) throw new TargetError('it redirects from https to http')
  return to.href
}
