import { SocketClosedError, wrapSocket } from '@horde/kit/socket'
import { WAIT_MS } from '@horde/testing/limits'
import { expect, test } from 'vitest'
import { connectPair, frame, MIB, options, rawPeer, startServer, type TestSocket, ticks } from './wire.ts'

const count = (n: number) => Array.from({ length: n }, (_, i) => i)

async function hearAll(socket: TestSocket): Promise<unknown[]> {
  const heard: unknown[] = []
  for await (const message of socket) heard.push(message)
  return heard
}

/** A server whose next accepted connection is wrapped at once. */
async function acceptOne(overrides: Partial<typeof options> = {}) {
  const accepted = Promise.withResolvers<TestSocket>()
  const server = await startServer(ws =>
    accepted.resolve(wrapSocket(ws, { ...options, closeTimeoutMs: 300, ...overrides })),
  )
  return Object.assign(server, { socket: accepted.promise })
}

test('messages go both ways, in order, whole', async () => {
  await using pair = await connectPair()
  await Promise.all(count(500).map(i => pair.near.say({ i })))
  await pair.far.say({ text: 'ä€😀'.repeat(MIB), end: true })
  for (const i of count(500)) expect(await pair.far.hear()).toEqual({ i })
  expect(await pair.near.hear()).toEqual({ text: 'ä€😀'.repeat(MIB), end: true })
})

test('frames that come with the handshake or before anybody hears are not lost', async () => {
  await using server = await acceptOne()
  await using _peer = await rawPeer(server.port, Buffer.concat(count(200).map(i => frame(1, String(i)))))
  const socket = await server.socket
  await ticks(20)
  for (const i of count(200)) expect(await socket.hear()).toBe(i)
})

test('what the server says in the tick of the upgrade reaches a client that hears late', async () => {
  await using server = await startServer(ws => {
    const socket: TestSocket = wrapSocket(ws, options)
    for (const i of count(200)) void socket.say(i)
    void socket.close(4001, 'that was all')
  })
  const { dialSocket } = await import('@horde/kit/socket')
  const socket: TestSocket = await dialSocket(server.url, options)
  expect(await socket.closed).toEqual({ code: 4001, reason: 'that was all' })
  expect(await hearAll(socket)).toEqual(count(200))
  expect(await socket.hear()).toBeUndefined()
})

test('a wait that is given up loses nothing', async () => {
  await using pair = await connectPair()
  for (const i of count(300)) {
    const stop = new AbortController()
    const wait = pair.far.hear(stop.signal)
    const said = pair.near.say(i)
    if (i % 3 === 0) await said
    if (i % 3 === 1) await ticks(1)
    stop.abort('no more')
    const heard = await wait.catch(reason => {
      expect(reason).toBe('no more')
      return pair.far.hear()
    })
    expect(heard).toBe(i)
  }
  await expect(pair.far.hear(AbortSignal.abort('before'))).rejects.toBe('before')
})

test('whoever waits first hears first', async () => {
  await using pair = await connectPair()
  const waits = Promise.all([pair.far.hear(), pair.far.hear(), pair.far.hear()])
  for (const i of count(3)) await pair.near.say(i)
  expect(await waits).toEqual([0, 1, 2])
})

test('both sides learn the code and the reason; what was queued is still heard', async () => {
  await using pair = await connectPair()
  await pair.near.say('last words')
  const waiting = pair.near.hear()
  await pair.near.close(4003, `nothing to do ${'€'.repeat(100)}`)
  const end = { code: 4003, reason: `nothing to do ${'€'.repeat(36)}` }
  expect(await pair.near.closed).toEqual(end)
  expect(await pair.far.closed).toEqual(end)
  expect([await waiting, await pair.far.hear(), await pair.far.hear()]).toEqual([undefined, 'last words', undefined])
  expect([pair.near.isOpen, pair.far.isOpen]).toEqual([false, false])
  await expect(pair.near.say(1)).rejects.toBeInstanceOf(SocketClosedError)
  await expect(pair.far.say(1)).rejects.toBeInstanceOf(SocketClosedError)
  await pair.near.close()
})

test('closing says first what was to be said', async () => {
  await using pair = await connectPair({ near: { closeTimeoutMs: WAIT_MS } })
  const said = [pair.near.say('x'.repeat(5 * MIB)), pair.near.say('y')]
  await pair.near.close()
  await Promise.all(said)
  expect((await hearAll(pair.far)).map(text => String(text).length)).toEqual([5 * MIB, 1])
})

test('leaving a block closes', async () => {
  await using pair = await connectPair()
  {
    await using near = pair.near
    await near.say('hello')
  }
  expect(await pair.far.closed).toEqual({ code: 1000, reason: '' })
})

test('a frame beyond the cap closes with 1009 before it is read, and harms nobody', async () => {
  await using server = await acceptOne({ maxFrameBytes: 100 })
  await using peer = await rawPeer(server.port, frame(1, '1'))
  const socket = await server.socket
  peer.write(frame(1, JSON.stringify('x'.repeat(99))))
  expect(await socket.closed).toEqual({ code: 1006, reason: 'frame too large' })
  expect(await hearAll(socket)).toEqual([1])
})

test('our own side of a dialled connection has a cap too', async () => {
  await using pair = await connectPair({ near: { maxFrameBytes: 10_000 } })
  await pair.far.say('x'.repeat(9_998))
  expect(await pair.near.hear()).toHaveLength(9_998)
  await pair.far.say('x'.repeat(9_999)).catch(() => {})
  expect(await pair.far.closed).toMatchObject({ code: 1009 })
  expect(await pair.near.hear()).toBeUndefined()
})

test('text that is not UTF-8 closes with 1007, also when it is split', async () => {
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
  expect(await hearAll(socket)).toEqual([7])
})

test('binary frames reach the parser as bytes', async () => {
  await using server = await acceptOne()
  await using _peer = await rawPeer(server.port, frame(2, Buffer.from([0xff, 0x00])))
  const heard = await (await server.socket).hear()
  expect(heard).toBeInstanceOf(Uint8Array)
  expect([...(heard as Uint8Array)]).toEqual([0xff, 0])
})

test('a reset connection ends the waits', async () => {
  await using server = await acceptOne()
  await using peer = await rawPeer(server.port, frame(1, '1'))
  const socket = await server.socket
  await socket.hear()
  const wait = socket.hear()
  peer.resetAndDestroy()
  expect(await wait).toBeUndefined()
  expect(await socket.closed).toMatchObject({ code: 1006 })
})

test('a flood of frames makes the peer wait, and all of them are heard', async () => {
  await using pair = await connectPair({ far: { maxQueuedFrames: 100 } })
  const total = 3_000
  let said = 0
  const saying = Promise.all(count(total).map(i => pair.near.say([i, 'x'.repeat(10_000)]).then(() => said++)))
  await ticks(200)
  expect(said).toBeLessThan(total)
  for (const i of count(total)) expect((await pair.far.hear()) as unknown[]).toHaveProperty('0', i)
  await saying
  expect(said).toBe(total)
})

test('a few frames as large as the cap are enough to make the peer wait', async () => {
  await using pair = await connectPair({ far: { maxFrameBytes: 4 * MIB } })
  let said = 0
  const saying = Promise.all(count(30).map(() => pair.near.say('x'.repeat(3 * MIB)).then(() => said++)))
  await ticks(300)
  expect(said).toBeLessThan(15)
  for (const _ of count(30)) await pair.far.hear()
  await saying
})

test('a peer that closes while nobody hears is noticed once somebody does', async () => {
  await using pair = await connectPair({ far: { maxQueuedFrames: 2 } })
  for (const i of count(10)) await pair.near.say(i)
  const closing = pair.near.close(4000)
  expect(await hearAll(pair.far)).toEqual(count(10))
  await closing
  expect(await pair.far.closed).toMatchObject({ code: 4000 })
})

test('closing needs no answer: a peer that is silent is cut off in time', async () => {
  await using server = await acceptOne()
  await using _peer = await rawPeer(server.port)
  const socket = await server.socket
  const waiting = socket.hear()
  await socket.close(1001, 'going away')
  expect(await socket.closed).toEqual({ code: 1006, reason: 'close was not answered' })
  expect(await waiting).toBeUndefined()
})

test('closing is in time even when the peer does not read what is being said', async () => {
  await using server = await acceptOne()
  await using peer = await rawPeer(server.port)
  peer.pause()
  const socket = await server.socket
  const said = expect(socket.say('x'.repeat(40 * MIB))).rejects.toBeInstanceOf(SocketClosedError)
  const next = expect(socket.say('y')).rejects.toBeInstanceOf(SocketClosedError)
  await socket.close()
  await Promise.all([said, next])
  await expect(socket.say('z')).rejects.toBeInstanceOf(SocketClosedError)
})

test('a message that is no JSON rejects and breaks nothing', async () => {
  await using pair = await connectPair()
  await expect(pair.near.say(1n)).rejects.toBeInstanceOf(TypeError)
  await pair.near.say('fine')
  expect(await pair.far.hear()).toBe('fine')
})

test('closing drops what still comes, even when the queue is full', async () => {
  await using pair = await connectPair({ far: { maxQueuedFrames: 2, closeTimeoutMs: 5_000 } })
  const saying = Promise.allSettled(count(200).map(() => pair.near.say('x'.repeat(100_000))))
  await ticks(50)
  await pair.far.close(1013)
  await saying
  expect(await pair.near.closed).toMatchObject({ code: 1013 })
  expect((await hearAll(pair.far)).length).toBeLessThan(200)
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

test('a thousand results at once, each with its receipt, are no flood', async () => {
  await using pair = await connectPair()
  const deliveries = count(4_000).map(i => pair.near.deliver(i))
  for (const i of count(4_000)) expect(await pair.far.hear()).toBe(i)
  expect(await Promise.all(deliveries.map(({ arrived }) => arrived))).not.toContain(false)
})
