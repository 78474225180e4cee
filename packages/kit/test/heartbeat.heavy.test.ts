import { once } from 'node:events'
import { dialSocket, wrapSocket } from '@horde/kit/socket'
import { expect, test } from 'vitest'
import type { WebSocket } from 'ws'
import { connectPair, frame, MIB, options, rawPeer, slowLink, startServer, type TestSocket } from './wire.ts'

/** So short that a large frame on a slow connection takes many times as long. */
const beat = { heartbeatMs: 40, heartbeatTimeoutMs: 160 }
const FRAME = 40 * MIB
/** 3 MiB each 40 ms: 40 MiB take half a second. */
const link = slowLink(3 * MIB, 40)

test('keeps a connection on which a large frame arrives slowly', async () => {
  await using pair = await connectPair({ near: beat }, link)
  const said = pair.far.say('x'.repeat(FRAME))
  expect(String(await pair.near.hear()).length).toBe(FRAME)
  await said
})

test('keeps a connection on which a large frame is sent slowly', async () => {
  await using pair = await connectPair({ near: beat }, link)
  const said = pair.near.say('x'.repeat(FRAME))
  expect(String(await pair.far.hear()).length).toBe(FRAME)
  await said
  expect(pair.near.isOpen).toBe(true)
})

test('keeps a connection with large frames in both directions at once', async () => {
  await using pair = await connectPair({ near: beat, far: beat }, link)
  const said = Promise.all([pair.near.say('x'.repeat(FRAME)), pair.far.say('y'.repeat(FRAME))])
  expect((await Promise.all([pair.near.hear(), pair.far.hear()])).map(String).map(text => text.length)).toEqual([
    FRAME,
    FRAME,
  ])
  await said
})

test("answers a peer's ping while it sends a large frame", async () => {
  const accepted = Promise.withResolvers<WebSocket>()
  await using server = await startServer(ws => accepted.resolve(ws))
  await using between = await link(server.port)
  await using socket: TestSocket = await dialSocket(`ws://127.0.0.1:${between.port}/ws`, options)
  const peer = await accepted.promise
  const order: string[] = []
  const whole = once(peer, 'message').then(() => order.push('message'))
  const pong = once(peer, 'pong').then(() => order.push('pong'))
  const said = socket.say('x'.repeat(FRAME))
  peer.ping()
  await Promise.all([whole, pong, said])
  expect(order).toEqual(['pong', 'message'])
})

/** Connects a peer that never answers a ping. */
async function withoutPongs() {
  const accepted = Promise.withResolvers<TestSocket>()
  const stack = new AsyncDisposableStack()
  const server = stack.use(
    await startServer(ws => accepted.resolve(wrapSocket(ws, { closeTimeoutMs: 300, ...options, ...beat }))),
  )
  // It reads enough at once to move the kernel's buffers, however long a turn of the event loop takes.
  const peer = stack.use(await rawPeer(server.port, undefined, 4 * MIB))
  return { peer, socket: await accepted.promise, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

test('keeps a connection on which an unfragmented frame arrives slowly, without any pong', async () => {
  await using pair = await withoutPongs()
  const bytes = frame(1, JSON.stringify('x'.repeat(4 * MIB)))
  const piece = Math.ceil(bytes.length / 40)
  let sent = 0
  const timer = setInterval(() => {
    pair.peer.write(bytes.subarray(sent, sent + piece))
    sent += piece
    if (sent >= bytes.length) clearInterval(timer)
  }, 20)
  expect(String(await pair.socket.hear()).length).toBe(4 * MIB)
})

test('keeps a peer that reads a frame slowly, without any pong', async () => {
  await using pair = await withoutPongs()
  pair.peer.pause()
  const timer = setInterval(() => pair.peer.read(), 1)
  await pair.socket.say('x'.repeat(FRAME))
  clearInterval(timer)
  expect(pair.socket.isOpen).toBe(true)
})

test('gives up a silent peer', async () => {
  const accepted = Promise.withResolvers<TestSocket>()
  await using server = await startServer(ws => accepted.resolve(wrapSocket(ws, { ...options, ...beat })))
  await using _peer = await rawPeer(server.port)
  const socket = await accepted.promise
  expect(await socket.hear()).toBeUndefined()
  expect(await socket.closed).toEqual({ code: 1006, reason: 'no sign of life' })
})

test('gives up a peer that stops reading in the middle of a frame', async () => {
  const accepted = Promise.withResolvers<TestSocket>()
  await using server = await startServer(ws => accepted.resolve(wrapSocket(ws, { ...options, ...beat })))
  await using peer = await rawPeer(server.port)
  peer.pause()
  const socket = await accepted.promise
  await expect(socket.say('x'.repeat(FRAME))).rejects.toThrow('before a message was out')
  expect(await socket.closed).toEqual({ code: 1006, reason: 'no sign of life' })
})

test('gives up a peer that stops sending in the middle of a frame', async () => {
  const accepted = Promise.withResolvers<TestSocket>()
  await using server = await startServer(ws => accepted.resolve(wrapSocket(ws, { ...options, ...beat })))
  await using _peer = await rawPeer(server.port, frame(1, 'x'.repeat(1_000), { length: MIB }))
  expect(await (await accepted.promise).closed).toEqual({ code: 1006, reason: 'no sign of life' })
})

test('keeps a quiet connection whose pings are answered', async () => {
  await using pair = await connectPair({ near: beat, far: { ...beat, heartbeatMs: 50 } })
  const ended = Promise.race([pair.near.closed, pair.far.closed])
  const fiveTimeouts = new Promise(resolve => setTimeout(resolve, 5 * beat.heartbeatTimeoutMs, 'alive'))
  expect(await Promise.race([ended, fiveTimeouts])).toBe('alive')
})

test('does not count silence while we do not read', async () => {
  await using pair = await connectPair({ far: { ...beat, maxQueuedFrames: 1 } })
  await pair.near.say('first')
  const fiveTimeouts = new Promise(resolve => setTimeout(resolve, 5 * beat.heartbeatTimeoutMs, 'alive'))
  expect(await Promise.race([pair.far.closed, fiveTimeouts])).toBe('alive')
  expect(await pair.far.hear()).toBe('first')
  await pair.near.say('second')
  expect(await pair.far.hear()).toBe('second')
})

test('reads what has arrived before it gives a peer up after a pause of the process', async () => {
  await using pair = await connectPair({ near: beat })
  const until = performance.now() + 5 * beat.heartbeatTimeoutMs
  while (performance.now() < until) Math.random()
  await pair.near.say('still here')
  expect(await pair.far.hear()).toBe('still here')
  expect(pair.near.isOpen).toBe(true)
})
