import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import { silentLog } from '@horde/kit/log'
import { dialSocket } from '@horde/kit/socket'

/** How long the facilitator may take to accept the connection, in milliseconds. */
const DIAL_MS = 10_000

/** The `check` line about the facilitator. Connects without a login, so a running validator keeps its connection. */
export async function facilitatorFinding(uri: string | undefined, signal: AbortSignal): Promise<Finding> {
  if (uri === undefined) return ok('facilitator', 'none is set: no jobs of users are taken')
  const host = URL.parse(uri)?.host ?? 'it'
  try {
    const within = AbortSignal.any([signal, AbortSignal.timeout(DIAL_MS)])
    const options = { parse: () => undefined, maxFrameBytes: 1_000_000, log: silentLog, signal: within }
    await using _ = await dialSocket(uri, options)
  } catch (error) {
    signal.throwIfAborted()
    return bad('facilitator', `${host} is away: ${(error as Error).message}`, 'see FACILITATOR_URI')
  }
  if (uri.startsWith('wss:')) return ok('facilitator', `${host} answers`)
  return warn('facilitator', `${host} answers, without TLS`, 'others can read along: use wss:')
}
