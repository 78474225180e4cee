/** A miner with its own WebSocket code (RFC 6455). It can send invalid frames, and leave a close frame unanswered. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { withDeadline } from '@horde/kit/time'
import { EXECUTOR_PATH } from '@horde/protocol/executor/address'
import { WAIT_MS } from '../limits.ts'

/** The constant that a server appends to the client's key (RFC 6455, section 1.3). */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const FINAL = 0x80
const CONTINUATION = 0
const TEXT = 1
const BINARY = 2
const CLOSE = 8

/** A message, a close frame with its code, or the end of the connection. */
export type Received = Record<string, unknown> | { closed: number } | { closed: 'cut' }

export class RawMiner implements AsyncDisposable {
  readonly #server: Server
  readonly #connections: RawConnection[] = []
  readonly #arrivals = new Map<string, Inbox<RawConnection>>()

  private constructor(server: Server) {
    this.#server = server.on('upgrade', ({ url = '', headers }, socket) => {
      const accept = createHash('sha1').update(`${headers['sec-websocket-key']}${GUID}`).digest('base64')
      const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
      socket.write([...lines, `Sec-WebSocket-Accept: ${accept}`, '', ''].join('\r\n'))
      const connection = new RawConnection(socket)
      this.#connections.push(connection)
      this.#of(url.replace(EXECUTOR_PATH, '')).put(connection)
    })
  }

  static async start(port = 0): Promise<RawMiner> {
    const server = createServer().listen(port, '127.0.0.1')
    await once(server, 'listening')
    return new RawMiner(server)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`
  }

  /** Returns the next connection of an executor. */
  arrival({ token }: { token: string }): Promise<RawConnection> {
    return this.#of(token).take('an executor')
  }

  #of(token: string): Inbox<RawConnection> {
    const arrivals = this.#arrivals.get(token) ?? new Inbox()
    this.#arrivals.set(token, arrivals)
    return arrivals
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.cut()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

export class RawConnection {
  readonly #socket: Duplex
  readonly #inbox = new Inbox<Received>()
  #rest = Buffer.alloc(0)
  /** The fragments of a message so far. */
  #fragments: Buffer[] = []

  constructor(socket: Duplex) {
    this.#socket = socket
    socket.on('error', () => {}).on('data', data => this.#read(data))
    socket.once('end', () => socket.end()).once('close', () => this.#inbox.put({ closed: 'cut' }))
  }

  receive(): Promise<Received> {
    return this.#inbox.take('a message')
  }

  send(message: unknown): void {
    this.sendFrame(JSON.stringify(message))
  }

  sendFrame(data: string | Buffer): void {
    const bytes = Buffer.from(data)
    this.#socket.write(Buffer.concat([head(typeof data === 'string' ? TEXT : BINARY, bytes.length), bytes]))
  }

  /** Sends the header of a text frame with this length, and no content. */
  beginFrame(bytes: number): void {
    this.#socket.write(head(TEXT, bytes))
  }

  close(code: number): void {
    const bytes = Buffer.alloc(2)
    bytes.writeUInt16BE(code)
    this.#socket.write(Buffer.concat([head(CLOSE, 2), bytes]))
  }

  cut(): void {
    this.#socket.destroy()
  }

  #read(data: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, data])
    for (let frame = readFrame(this.#rest); frame !== undefined; frame = readFrame(this.#rest)) {
      this.#rest = this.#rest.subarray(frame.end)
      if (frame.opcode === TEXT || frame.opcode === CONTINUATION) this.#fragments.push(frame.payload)
      if (frame.isLast && frame.opcode < BINARY) {
        this.#inbox.put(JSON.parse(Buffer.concat(this.#fragments.splice(0)).toString()))
      }
      if (frame.opcode === CLOSE) this.#inbox.put({ closed: frame.payload.readUInt16BE() })
    }
  }
}

/** A queue whose `take` waits for the next item. */
class Inbox<T> {
  readonly #items: T[] = []
  readonly #takers: ((item: T) => void)[] = []

  put(item: T): void {
    const taker = this.#takers.shift()
    if (taker) taker(item)
    else this.#items.push(item)
  }

  take(what: string): Promise<T> {
    const [item] = this.#items.splice(0, 1)
    if (item !== undefined) return Promise.resolve(item)
    return withDeadline(new Promise<T>(resolve => this.#takers.push(resolve)), WAIT_MS, `waiting for ${what}`)
  }
}

function head(opcode: number, length: number): Buffer {
  if (length < 126) return Buffer.from([FINAL | opcode, length])
  const bytes = Buffer.alloc(10)
  bytes.set([FINAL | opcode, 127])
  bytes.writeBigUInt64BE(BigInt(length), 2)
  return bytes
}

/** Reads the first frame of a client's bytes, which are masked. Returns undefined while the frame is incomplete. */
function readFrame(bytes: Buffer): { opcode: number; isLast: boolean; payload: Buffer; end: number } | undefined {
  if (bytes.length < 2) return undefined
  const short = bytes.readUInt8(1) & 0x7f
  const maskAt = short === 127 ? 10 : short === 126 ? 4 : 2
  if (bytes.length < maskAt + 4) return undefined
  const length = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short
  const start = maskAt + 4
  if (bytes.length < start + length) return undefined
  const payload = bytes
    .subarray(start, start + length)
    .map((byte, index) => byte ^ bytes.readUInt8(maskAt + (index % 4)))
  const isLast = (bytes.readUInt8(0) & FINAL) !== 0
  return { opcode: bytes.readUInt8(0) & 0x0f, isLast, payload: Buffer.from(payload), end: start + length }
}
