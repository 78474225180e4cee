/** Logs the text of a server's refusal at debug. */
import type { IncomingMessage } from 'node:http'
import type { Log } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'

const MAX_CHARACTERS = 200
/** No character of UTF-8 takes more bytes. */
const MAX_BYTES = 4 * MAX_CHARACTERS
/** How long the text may take to arrive, in ms. */
const TEXT_MS = 2_000

const TEXTUAL = /^(?:text\/|application\/(?:[\w.-]+\+)?(?:json|xml)\b)/i

/**
 * Logs the first characters of a refusal when its body is a text and the log level is debug. Never rejects.
 */
export async function logRefusal(response: IncomingMessage, log: Log, signal: AbortSignal): Promise<void> {
  if (!log.isLevelEnabled('debug') || !TEXTUAL.test(response.headers['content-type'] ?? '')) return
  const over = new AbortController()
  systemClock.sleep(TEXT_MS, AbortSignal.any([signal, over.signal])).then(
    () => response.destroy(),
    () => {},
  )
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk.subarray(0, MAX_BYTES - bytes))
      bytes += chunk.length
      if (bytes >= MAX_BYTES) break
    }
  } catch {
    // Log what came before the connection was lost.
  } finally {
    over.abort()
  }
  const text = Buffer.concat(chunks).toString().slice(0, MAX_CHARACTERS)
  if (text !== '') log.debug({ status: response.statusCode, text }, 'the text of a refusal')
}
