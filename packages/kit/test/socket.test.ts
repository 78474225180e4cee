import { SocketClosedError, wrapSocket } from '@horde/kit/socket'
import { WAIT_MS } from '@horde/testing/limits'
import { expect, test } from 'vitest'
import { connectPair, frame, MIB, options, rawPeer, startServer, type TestSocket, ticks } from './wire.ts'

const count = (n: number) => Array.from({ length: n }, (_, i) => i)

async function receiveAll(socket: TestSocket): Promise<unknown[]> {
  const received: unknown[] = []
  for await (const message of socket) received.push(message)
  return received
}

/** A server that wraps its next accepted connection at once. */
async function acceptOne(overrides: Partial<typeof options> = {}) {
  const accepted = Promise.withResolvers<TestSocket>()
  const server = await startServer(ws =>
    accepted.resolve(wrapSocket(ws, { ...options, closeTimeoutMs: 300, ...overrides })),
  )
  return Object.assign(server, { socket: accepted.promise })
}

test('sends and receives whole messages in order', async () => {
  await using pair = await connectPair()
  await Promise.all(count(500).map(i => pair.near.send({ i })))
  await pair.far.send({ text: 'ä€😀'.repeat(MIB), end: true })
  for (const i of count(500)) expect(await pair.far.receive()).toEqual({ i })
  expect(await pair.near.receive()).toEqual({ text: 'ä€😀'.repeat(MIB), end: true })
})

test('loses no frames that come with the handshake or before the first receive()', async () => {
  await using server = await acceptOne()
  await using _peer = await rawPeer(server.port, Buffer.concat(count(200).map(i => frame(1, String(i)))))
  const socket = await server.socket
  await ticks(20)
  for (const i of count(200)) expect(await socket.receive()).toBe(i)
})

test('delivers what the server sent in the tick of the upgrade to a late receive()', async () => {
  await using server = await startServer(ws => {
    const socket: TestSocket = wrapSocket(ws, options)
    for (const i of count(200)) void socket.send(i)
    void socket.close(4001, 'that was all')
  })
  const { dialSocket } = await import('@horde/kit/socket')
  const socket: TestSocket = await dialSocket(server.url, options)
  expect(await socket.closed).toEqual({ code: 4001, reason: 'that was all' })
  expect(await receiveAll(socket)).toEqual(count(200))
  expect(await socket.receive()).toBeUndefined()
})

test('loses no message when a wait is aborted', async () => {
  await using pair = await connectPair()
  for (const i of count(300)) {
    const stop = new AbortController()
    const wait = pair.far.receive(stop.signal)
    const sent = pair.near.send(i)
    if (i % 3 === 0) await sent
    if (i % 3 === 1) await ticks(1)
    stop.abort('no more')
    const received = await wait.catch(reason => {
      expect(reason).toBe('no more')
      return pair.far.receive()
    })
    expect(received).toBe(i)
  }
  await expect(pair.far.receive(AbortSignal.abort('before'))).rejects.toBe('before')
})

test('serves waits in their order', async () => {
  await using pair = await connectPair()
  const waits = Promise.all([pair.far.receive(), pair.far.receive(), pair.far.receive()])
  for (const i of count(3)) await pair.near.send(i)
  expect(await waits).toEqual([0, 1, 2])
})

test("leaves the answer to the peer's close to whoever called, where that is asked for", async () => {
  await using server = await acceptOne({ holdsClose: true })
  const { dialSocket } = await import('@horde/kit/socket')
  const peer: TestSocket = await dialSocket(server.url, { ...options, closeTimeoutMs: WAIT_MS })
  const socket = await server.socket
  await peer.send('result')
  const closing = peer.close(4000, 'mine')
  expect(await receiveAll(socket)).toEqual(['result'])
  expect(socket.isOpen).toBe(false)
  await expect(socket.send('too late')).rejects.toThrow(SocketClosedError)
  const ended = closing.then(() => 'ended')
  expect(await Promise.race([ended, ticks(50).then(() => 'waits')])).toBe('waits')
  await socket.close(1000)
  await closing
  expect(await peer.closed).toEqual({ code: 1000, reason: '' })
  expect(await socket.closed).toEqual({ code: 4000, reason: 'mine' })
})

test('ends although the peer goes before its held close is answered', async () => {
  await using server = await acceptOne({ holdsClose: true })
  const { dialSocket } = await import('@horde/kit/socket')
  const peer: TestSocket = await dialSocket(server.url, options)
  const socket = await server.socket
  await peer.close(1000, '', 50)
  expect(await peer.closed).toMatchObject({ code: 1006 })
  expect(await receiveAll(socket)).toEqual([])
  expect(await socket.closed).toMatchObject({ code: 1000 })
  await socket.close(1000)
})

test('gives both sides the close code and reason, and still delivers queued messages', async () => {
  await using pair = await connectPair()
  await pair.near.send('last words')
  const waiting = pair.near.receive()
  await pair.near.close(4003, `nothing to do ${'€'.repeat(100)}`)
  const end = { code: 4003, reason: `nothing to do ${'€'.repeat(36)}` }
  expect(await pair.near.closed).toEqual(end)
  expect(await pair.far.closed).toEqual(end)
  expect([await waiting, await pair.far.receive(), await pair.far.receive()]).toEqual([
    undefined,
    'last words',
    undefined,
  ])
  expect([pair.near.isOpen, pair.far.isOpen]).toEqual([false, false])
  await expect(pair.near.send(1)).rejects.toBeInstanceOf(SocketClosedError)
  await expect(pair.far.send(1)).rejects.toBeInstanceOf(SocketClosedError)
  await pair.near.close()
})

test('sends pending messages before it closes', async () => {
  await using pair = await connectPair({ near: { closeTimeoutMs: WAIT_MS } })
  const sent = [pair.near.send('x'.repeat(5 * MIB)), pair.near.send('y')]
  await pair.near.close()
  await Promise.all(sent)
  expect((await receiveAll(pair.far)).map(text => String(text).length)).toEqual([5 * MIB, 1])
})

test('closes when its block is left', async () => {
  await using pair = await connectPair()
  {
    await using near = pair.near
    await near.send('hello')
  }
  expect(await pair.far.closed).toEqual({ code: 1000, reason: '' })
})

test('closes with 1009 on a frame above the limit, before reading it', async () => {
  await using server = await acceptOne({ maxFrameBytes: 100 })
  await using peer = await rawPeer(server.port, frame(1, '1'))
  const socket = await server.socket
  peer.write(frame(1, JSON.stringify('x'.repeat(99))))
  expect(await socket.closed).toEqual({ code: 1006, reason: 'frame too large' })
  expect(await receiveAll(socket)).toEqual([1])
})

test('limits frames on a dialled connection too', async () => {
  await using pair = await connectPair({ near: { maxFrameBytes: 10_000 } })
  await pair.far.send('x'.repeat(9_998))
  expect(await pair.near.receive()).toHaveLength(9_998)
  await pair.far.send('x'.repeat(9_999)).catch(() => {})
  expect(await pair.far.closed).toMatchObject({ code: 1009 })
  expect(await pair.near.receive()).toBeUndefined()
})

test('closes with 1007 on text that is not UTF-8, also when fragmented', async () => {
  await using server = await acceptOne()
  await using peer = await rawPeer(server.port)
  peer.write(Buffer.concat([frame(1, Buffer.from([0x22, 0xe2]), { fin: false }), frame(0, Buffer.from([0x22]))]))
  const answer = await new Promise<Buffer>(resolve => peer.once('data', resolve))
  expect([answer[0], answer.readUInt16BE(2)]).toEqual([0x88, 1007])
  expect(await (await server.socket).closed).toEqual({ code: 1006, reason: 'WS_ERR_INVALID_UTF8' })
})

test.each([
  ['an unknown opcode', frame(3, 'x')],
  ['a continuation of nothing', frame(0, 'x')],
  ['a fragmented ping', frame(9, 'x', { fin: false })],
  ['a huge length', frame(1, 'x', { length: 2 ** 60 })],
  ['a lone first fragment', frame(1, 'x', { fin: false })],
  ['a close with half a code', frame(8, 'x')],
  ['noise', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
])('%s ends the connection and nothing else', async (_, bytes) => {
  await using server = await acceptOne()
  await using peer = await rawPeer(server.port, Buffer.concat([frame(1, '7'), bytes]))
  peer.end()
  const socket = await server.socket
  await socket.closed
  expect(await receiveAll(socket)).toEqual([7])
})

test('passes binary frames to the parser as bytes', async () => {
  await using server = await acceptOne()
  await using _peer = await rawPeer(server.port, frame(2, Buffer.from([0xff, 0x00])))
  const received = await (await server.socket).receive()
  expect(received).toBeInstanceOf(Uint8Array)
  expect([...(received as Uint8Array)]).toEqual([0xff, 0])
})

test('ends waits when the connection is reset', async () => {
  await using server = await acceptOne()
  await using peer = await rawPeer(server.port, frame(1, '1'))
  const socket = await server.socket
  await socket.receive()
  const wait = socket.receive()
  peer.resetAndDestroy()
  expect(await wait).toBeUndefined()
  expect(await socket.closed).toMatchObject({ code: 1006 })
})

test('makes a peer that floods it wait, and delivers all frames', async () => {
  await using pair = await connectPair({ far: { maxQueuedFrames: 100 } })
  const total = 3_000
  let sent = 0
  const sending = Promise.all(count(total).map(i => pair.near.send([i, 'x'.repeat(10_000)]).then(() => sent++)))
  await ticks(200)
  expect(sent).toBeLessThan(total)
  for (const i of count(total)) expect((await pair.far.receive()) as unknown[]).toHaveProperty('0', i)
  await sending
  expect(sent).toBe(total)
})

test('makes the peer wait after a few frames of the largest size', async () => {
  await using pair = await connectPair({ far: { maxFrameBytes: 4 * MIB } })
  let sent = 0
  const sending = Promise.all(count(30).map(() => pair.near.send('x'.repeat(3 * MIB)).then(() => sent++)))
  await ticks(300)
  expect(sent).toBeLessThan(15)
  for (const _ of count(30)) await pair.far.receive()
  await sending
})

test('notices on the next receive() that the peer has closed', async () => {
  await using pair = await connectPair({ far: { maxQueuedFrames: 2 } })
  for (const i of count(10)) await pair.near.send(i)
  const closing = pair.near.close(4000)
  expect(await receiveAll(pair.far)).toEqual(count(10))
  await closing
  expect(await pair.far.closed).toMatchObject({ code: 4000 })
  expect(pair.far.wasSilent).toBe(false)
})

test('cuts the connection when the peer does not answer the close in time', async () => {
  await using server = await acceptOne()
  await using _peer = await rawPeer(server.port)
  const socket = await server.socket
  const waiting = socket.receive()
  await socket.close(1001, 'going away')
  expect(await socket.closed).toEqual({ code: 1006, reason: 'close was not answered' })
  expect(socket.wasSilent).toBe(true)
  expect(await waiting).toBeUndefined()
})

test('closes in time even if the peer does not read', async () => {
  await using server = await acceptOne()
  await using peer = await rawPeer(server.port)
  peer.pause()
  const socket = await server.socket
  const sent = expect(socket.send('x'.repeat(40 * MIB))).rejects.toBeInstanceOf(SocketClosedError)
  const next = expect(socket.send('y')).rejects.toBeInstanceOf(SocketClosedError)
  await socket.close()
  await Promise.all([sent, next])
  await expect(socket.send('z')).rejects.toBeInstanceOf(SocketClosedError)
})

test('rejects a message that cannot be JSON, and stays usable', async () => {
  await using pair = await connectPair()
  await expect(pair.near.send(1n)).rejects.toBeInstanceOf(TypeError)
  await pair.near.send('fine')
  expect(await pair.far.receive()).toBe('fine')
})

test('drops frames that come while it closes, even when the queue is full', async () => {
  await using pair = await connectPair({ far: { maxQueuedFrames: 2, closeTimeoutMs: 5_000 } })
  const sending = Promise.allSettled(count(200).map(() => pair.near.send('x'.repeat(100_000))))
  await ticks(50)
  await pair.far.close(1013)
  await sending
  expect(await pair.near.closed).toMatchObject({ code: 1013 })
  expect((await receiveAll(pair.far)).length).toBeLessThan(200)
})

test.each([
  ['pings', 9],
  ['pongs', 10],
])('a flood of %s is cut off, and few of them are answered', async (_, opcode) => {
  await using server = await acceptOne()
  await using peer = await rawPeer(server.port)
  const socket = await server.socket
  let answered = 0
  peer.on('data', (chunk: Buffer) => {
    answered += chunk.length
  })
  peer.on('error', () => {})
  const flood = Buffer.concat(count(50_000).map(() => frame(opcode, '')))
  peer.write(flood)
  expect(await socket.closed).toEqual({ code: 1006, reason: 'too many pings' })
  expect(answered).toBeLessThan(50_000)
})

test('does not take a thousand results with receipts for a flood', async () => {
  await using pair = await connectPair()
  const messages = count(4_000).map(i => pair.near.sendWithReceipt(i))
  for (const i of count(4_000)) expect(await pair.far.receive()).toBe(i)
  expect(await Promise.all(messages.map(({ acknowledged }) => acknowledged))).not.toContain(false)
})
