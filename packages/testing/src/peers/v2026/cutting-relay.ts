/** A relay of WebSocket messages in front of a miner. It cuts a connection at the message that a test names. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'

/** The message at which a connection is cut, once. */
export interface Cut {
  from: 'validator' | 'miner'
  type: string
  /** Whether the message is lost. Otherwise it is read, and nothing passes after it. */
  isLost?: boolean
}

export interface CuttingRelay extends AsyncDisposable {
  port: number
  /** The messages that passed, each after the number of its connection. */
  passed: string[]
  /** The connections of the validator so far. */
  connections(): number
}

/** Starts a relay in front of the port at `url`. Pings and pongs pass, too: they prove that the other side has read. */
export async function startCuttingRelay(url: string, cut: Cut): Promise<CuttingRelay> {
  const server = createServer()
  const sockets = new WebSocketServer({ server, autoPong: false })
  const passed: string[] = []
  let isCut = false
  let connections = 0
  sockets.on('connection', (validator, { url: path }) => {
    connections += 1
    const connection = connections
    const miner = new WebSocket(`${url}${path}`, { autoPong: false })
    let isCutting = false
    const end = () => {
      validator.terminate()
      miner.terminate()
    }
    const pass = async (from: Cut['from'], to: WebSocket, frame: string) => {
      const type = String(JSON.parse(frame).message_type)
      const isHere = !isCut && cut.from === from && cut.type === type
      if (isHere) {
        isCut = true
        isCutting = true
        if (cut.isLost) return end()
      }
      passed.push(`${connection} ${type}`)
      to.send(frame)
      if (!isHere) return
      // The pong proves that the message was read.
      to.ping()
      await once(to, 'pong')
      end()
    }
    const join = (from: Cut['from'], one: WebSocket, other: WebSocket, isOpen: Promise<unknown>) => {
      let last = isOpen
      const inOrder = (act: () => unknown) => {
        last = last.then(() => (isCutting ? undefined : act())).catch(end)
      }
      one.on('message', data => inOrder(() => pass(from, other, String(data))))
      one.on('ping', data => inOrder(() => other.ping(data)))
      one.on('pong', data => inOrder(() => other.pong(data)))
      one.on('error', () => {})
      one.on('close', code => (code === 1000 ? other.close(1000) : other.terminate()))
    }
    const isOpen = once(miner, 'open')
    // The validator may be gone before, without a message that would wait for it.
    isOpen.catch(end)
    join('validator', validator, miner, isOpen)
    join('miner', miner, validator, Promise.resolve())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    passed,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets.clients) socket.terminate()
      sockets.close()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
