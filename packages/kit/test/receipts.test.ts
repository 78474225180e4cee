import { SocketClosedError, wrapSocket } from '@horde/kit/socket'
import { expect, test } from 'vitest'
import { connectPair, frame, MIB, options, rawPeer, startServer, type TestSocket, ticks } from './wire.ts'

const PING = 0x9
const PONG = 0xa

/** A server's socket whose peer answers nothing automatically. */
async function mutePeer() {
  const accepted = Promise.withResolvers<TestSocket>()
  const stack = new AsyncDisposableStack()
  const server = stack.use(await startServer(ws => accepted.resolve(wrapSocket(ws, options))))
  const peer = stack.use(await rawPeer(server.port))
  const got: Buffer[] = []
  peer.on('data', (chunk: Buffer) => got.push(chunk))
  return {
    socket: await accepted.promise,
    peer,
    got: () => Buffer.concat(got),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** Returns the payloads of pings in a server's frames, each shorter than 126 bytes. */
function pingsIn(bytes: Buffer): Buffer[] {
  const pings: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes[at + 1] ?? 0
    if (((bytes[at] ?? 0) & 0xf) === PING) pings.push(bytes.subarray(at + 2, at + 2 + length))
    at += 2 + length
  }
  return pings
}

const isPending = async (promise: Promise<unknown>) => (await Promise.race([promise, ticks(20)])) === undefined

test('acknowledges a message once the peer has read it, large or small', async () => {
  await using pair = await connectPair()
  for (const text of ['small', 'x'.repeat(3 * MIB)]) {
    const { sent, acknowledged } = pair.near.sendWithReceipt(text)
    await sent
    expect(await pair.far.receive()).toBe(text)
    expect(await acknowledged).toBe(true)
  }
})

test('gets the receipt of a peer that closes right after it has read a message', async () => {
  for (let round = 0; round < 50; round += 1) {
    await using pair = await connectPair()
    const { acknowledged } = pair.near.sendWithReceipt('answer')
    await pair.far.receive()
    void pair.far.close()
    expect(await acknowledged).toBe(true)
  }
})

test('does not acknowledge what the kernel accepted but the peer did not read', async () => {
  await using mute = await mutePeer()
  const { sent, acknowledged } = mute.socket.sendWithReceipt('answer')
  await sent
  expect(await isPending(acknowledged)).toBe(true)
  mute.peer.destroy()
  expect(await acknowledged).toBe(false)
})

test('takes one pong as the answer to all pings before it, and ignores other pongs', async () => {
  await using mute = await mutePeer()
  const messages = ['a', 'b', 'c'].map(text => mute.socket.sendWithReceipt(text))
  await expect.poll(() => pingsIn(mute.got())).toHaveLength(3)
  const [, second = Buffer.alloc(0)] = pingsIn(mute.got())
  mute.peer.write(Buffer.concat([frame(PONG, ''), frame(PONG, 'abc')]))
  expect(await isPending(messages[0]?.acknowledged ?? Promise.resolve())).toBe(true)
  mute.peer.write(frame(PONG, second))
  expect(await Promise.all(messages.slice(0, 2).map(({ acknowledged }) => acknowledged))).toEqual([true, true])
  mute.peer.destroy()
  expect(await messages[2]?.acknowledged).toBe(false)
})

test('acknowledges nothing on a closed connection', async () => {
  await using pair = await connectPair()
  await pair.near.close()
  const { sent, acknowledged } = pair.near.sendWithReceipt('late')
  await expect(sent).rejects.toBeInstanceOf(SocketClosedError)
  expect(await acknowledged).toBe(false)
})
