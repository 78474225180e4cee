/** What a service that runs on this machine says on its admin port: for commands beside it. */

import type { serviceSettings } from '../config/service-settings.ts'
import type { SettingsOf } from '../config.ts'

/** How long its answer may take, in milliseconds. */
const ANSWER_MS = 5_000

/** The answer's JSON, or why there is none, in words that follow "its admin port". */
export async function askService<T>(
  { ADMIN_HOST, ADMIN_PORT }: Pick<SettingsOf<typeof serviceSettings>, 'ADMIN_HOST' | 'ADMIN_PORT'>,
  path: string,
): Promise<{ said: T } | { problem: string }> {
  if (!ADMIN_PORT) return { problem: 'is not known: set ADMIN_PORT to a number of its own' }
  const host = dialable(ADMIN_HOST)
  try {
    const response = await fetch(`http://${host}:${ADMIN_PORT}${path}`, { signal: AbortSignal.timeout(ANSWER_MS) })
    if (!response.ok) return { problem: `answered with status ${response.status}` }
    return { said: (await response.json()) as T }
  } catch (error) {
    const { cause, message } = error as Error
    return { problem: `does not answer (${cause instanceof Error ? cause.message : message})` }
  }
}

/** What listens on every address can be reached by loopback. */
function dialable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
