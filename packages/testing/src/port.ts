import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the ports that Linux assigns by itself (from 32768), so that no short-lived connection takes one meanwhile. */
const FIRST = 20_000
const COUNT = 12_000
const ATTEMPTS = 50

/**
 * Returns a free TCP port of 127.0.0.1, for a server that must restart on the same port. All others should listen on 0.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    const server = createServer().listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
    } catch (error) {
      if (attempt === ATTEMPTS) throw error
      continue
    }
    server.close()
    await once(server, 'close')
    return port
  }
}
