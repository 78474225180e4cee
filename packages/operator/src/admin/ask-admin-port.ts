/** Asks the service that runs on this machine, at its admin port. Commands use it beside a running service. */
import type { SettingsOf } from '@horde/kit/config'
import type { serviceSettings } from '@horde/kit/config/service-settings'

/** How long the answer may take, in milliseconds. */
const ANSWER_MS = 5_000

/**
 * Returns the answer's JSON, or a phrase that says why there is no answer and follows "its admin port".
 *
 * @param body what to send as JSON, by POST. Unset: a GET
 */
export async function askAdminPort<T>(
  { ADMIN_HOST, ADMIN_PORT }: Pick<SettingsOf<typeof serviceSettings>, 'ADMIN_HOST' | 'ADMIN_PORT'>,
  path: string,
  body?: object,
): Promise<{ answer: T } | { problem: string }> {
  if (!ADMIN_PORT) return { problem: 'is not known: set ADMIN_PORT to a number of its own' }
  const url = `http://${hostToDial(ADMIN_HOST)}:${ADMIN_PORT}${path}`
  try {
    const response = await fetch(url, { ...(body && asPost(body)), signal: AbortSignal.timeout(ANSWER_MS) })
    if (!response.ok) return { problem: `answered with status ${response.status}` }
    return { answer: (await response.json()) as T }
  } catch (error) {
    const { cause, message } = error as Error
    return { problem: `does not answer (${cause instanceof Error ? cause.message : message})` }
  }
}

function asPost(body: object) {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/** A service that listens on every address can be reached at the loopback address. */
function hostToDial(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
