import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * The range is below Linux's ephemeral ports (32768 and up), so that no outgoing connection takes the port meanwhile.
 */
const FIRST = 20_000
const COUNT = 12_000
const ATTEMPTS = 50

/** Returns a free TCP port of 127.0.0.1, for a server that must restart on the same port. Others listen on port 0. */
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
