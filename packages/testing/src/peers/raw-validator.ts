/** Peers that send raw bytes from any loopback address, so that they can break the protocol. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const TEXT = 0x81
const FIRST_FRAGMENT = 0x01
const FRAGMENT = 0x00
const FINAL = 0x80
const PING = 0x89

export type RawPeer = Socket & { got(): Buffer; ended: Promise<unknown> }

/** Opens a TCP connection, and sends nothing. */
export async function connectRaw(port: number, localAddress = '127.0.0.1'): Promise<RawPeer> {
  const socket = connect({ host: '127.0.0.1', port, localAddress })
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => {})
  const ended = new Promise(resolve => socket.once('close', resolve))
  await Promise.race([once(socket, 'connect'), ended])
  return Object.assign(socket, { got: () => Buffer.concat(chunks), ended })
}

/** Returns the request for a WebSocket, with further headers. */
export function upgradeRequest(path: string, headers: readonly string[] = []): string {
  const fixed = ['Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
  const lines = [`GET ${path} HTTP/1.1`, ...fixed, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', ...headers]
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** Opens a WebSocket on the miner's port for validators. */
export async function upgradeRaw(port: number, hotkey: string, localAddress?: string): Promise<RawPeer> {
  const peer = await connectRaw(port, localAddress)
  peer.write(upgradeRequest(`/v0.1/validator_interface/${hotkey}`))
  await Promise.race([once(peer, 'data'), peer.ended])
  return peer
}

export function textFrame(message: unknown): Buffer {
  return frame(TEXT, Buffer.from(JSON.stringify(message)))
}

export function pingFrame(): Buffer {
  return frame(PING, Buffer.alloc(0))
}

/** Returns one message as `count` fragments. */
export function pieces(message: unknown, count: number): Buffer[] {
  const bytes = Buffer.from(JSON.stringify(message))
  const size = Math.ceil(bytes.length / count)
  return Array.from({ length: count }, (_, index) => {
    const first = index === 0 ? FIRST_FRAGMENT : FRAGMENT
    const last = index === count - 1 ? FINAL : 0
    return frame(first | last, bytes.subarray(index * size, (index + 1) * size))
  })
}

/** Returns the JSON messages that a server sent after its answer to the upgrade. */
export function messagesIn(bytes: Buffer): Record<string, unknown>[] {
  const messages: Record<string, unknown>[] = []
  for (let at = bytes.indexOf('\r\n\r\n') + 4; at + 1 < bytes.length; ) {
    const short = (bytes[at + 1] ?? 0) & 0x7f
    const head = short === 126 ? 4 : short === 127 ? 10 : 2
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short
    if (bytes[at] === TEXT) messages.push(JSON.parse(bytes.subarray(at + head, at + head + length).toString()))
    at += head + length
  }
  return messages
}

/** Returns a client's frame, masked with zeros. */
function frame(head: number, payload: Buffer): Buffer {
  const short = payload.length < 126
  const length = Buffer.alloc(short ? 0 : 8)
  if (!short) length.writeBigUInt64BE(BigInt(payload.length))
  return Buffer.concat([Buffer.from([head, 0x80 | (short ? payload.length : 127)]), length, Buffer.alloc(4), payload])
}
