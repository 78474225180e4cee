import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the ports that Linux hands out by itself (32768 and up), so that no passing connection takes one meanwhile. */
const FIRST = 20_000
const COUNT = 12_000
const ATTEMPTS = 50

/** A TCP port of 127.0.0.1 where nobody listens, for what must come back on the same port. Otherwise listen on 0. */
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
