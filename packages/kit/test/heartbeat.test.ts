/**
 * The tests move the intervals of the heartbeat and of slow connections with vitest's timers. Sockets and closing have
 * the machine's time. Everything sent arrives between two beats, however slow the machine is.
 */
import { once } from 'node:events'
import { dialSocket, wrapSocket } from '@horde/kit/socket'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { WebSocket } from 'ws'
import { connectPair, frame, MIB, options, rawPeer, slowLink, startServer, type TestSocket, ticks } from './wire.ts'

/** So short that a large frame on a slow connection takes many times as long. */
const beat = { heartbeatMs: 40, heartbeatTimeoutMs: 160 }
const FRAME = 40 * MIB
/** 3 MiB each 40 ms: 40 MiB take half a second. */
const link = slowLink(3 * MIB, 40)
/** How far the tests move the time at once, in ms, and how often the event loop turns then. A ping needs 3 turns. */
const STEP_MS = 10
const TURNS = 20

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

async function step(): Promise<void> {
  vi.advanceTimersByTime(STEP_MS)
  // The kernel delivers what was sent. No test relies on how long that takes: each steps until its promise settles.
  await new Promise(resolve => setTimeout(resolve, 1))
  await ticks(TURNS)
}

/** Has time pass until a promise is settled. */
async function timePassesUntil<T>(promise: Promise<T>): Promise<T> {
  let isSettled = false
  const settle = () => {
    isSettled = true
  }
  promise.then(settle, settle)
  while (!isSettled) await step()
  return promise
}

/** Has so many time-outs pass. */
async function timeoutsPass(count: number): Promise<'alive'> {
  for (let ms = 0; ms < count * beat.heartbeatTimeoutMs; ms += STEP_MS) await step()
  return 'alive'
}

test('keeps a connection on which a large frame arrives slowly', async () => {
  await using pair = await timePassesUntil(connectPair({ near: beat }, link))
  const sent = pair.far.send('x'.repeat(FRAME))
  expect(String(await timePassesUntil(pair.near.receive())).length).toBe(FRAME)
  await timePassesUntil(sent)
})

test('keeps a connection on which a large frame is sent slowly', async () => {
  await using pair = await timePassesUntil(connectPair({ near: beat }, link))
  const sent = pair.near.send('x'.repeat(FRAME))
  expect(String(await timePassesUntil(pair.far.receive())).length).toBe(FRAME)
  await timePassesUntil(sent)
  expect(pair.near.isOpen).toBe(true)
})

test('keeps a connection with large frames in both directions at once', async () => {
  await using pair = await timePassesUntil(connectPair({ near: beat, far: beat }, link))
  const sent = Promise.all([pair.near.send('x'.repeat(FRAME)), pair.far.send('y'.repeat(FRAME))])
  expect(
    (await timePassesUntil(Promise.all([pair.near.receive(), pair.far.receive()])))
      .map(String)
      .map(text => text.length),
  ).toEqual([FRAME, FRAME])
  await timePassesUntil(sent)
})

test("answers a peer's ping while it sends a large frame", async () => {
  const accepted = Promise.withResolvers<WebSocket>()
  await using server = await startServer(ws => accepted.resolve(ws))
  await using between = await link(server.port)
  await using socket: TestSocket = await timePassesUntil(dialSocket(`ws://127.0.0.1:${between.port}/ws`, options))
  const peer = await accepted.promise
  const order: string[] = []
  const whole = once(peer, 'message').then(() => order.push('message'))
  const pong = once(peer, 'pong').then(() => order.push('pong'))
  const sent = socket.send('x'.repeat(FRAME))
  peer.ping()
  await timePassesUntil(Promise.all([whole, pong, sent]))
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
  expect(String(await timePassesUntil(pair.socket.receive())).length).toBe(4 * MIB)
})

test('keeps a peer that reads a frame slowly, without any pong', async () => {
  await using pair = await withoutPongs()
  pair.peer.pause()
  const timer = setInterval(() => pair.peer.read(), 1)
  await timePassesUntil(pair.socket.send('x'.repeat(FRAME)))
  clearInterval(timer)
  expect(pair.socket.isOpen).toBe(true)
})

test('gives up a silent peer', async () => {
  const accepted = Promise.withResolvers<TestSocket>()
  await using server = await startServer(ws => accepted.resolve(wrapSocket(ws, { ...options, ...beat })))
  await using _peer = await rawPeer(server.port)
  const socket = await accepted.promise
  expect(await timePassesUntil(socket.receive())).toBeUndefined()
  expect(await timePassesUntil(socket.closed)).toEqual({ code: 1006, reason: 'no sign of life' })
  expect(socket.wasSilent).toBe(true)
})

test('gives up a peer that stops reading in the middle of a frame', async () => {
  const accepted = Promise.withResolvers<TestSocket>()
  await using server = await startServer(ws => accepted.resolve(wrapSocket(ws, { ...options, ...beat })))
  await using peer = await rawPeer(server.port)
  peer.pause()
  const socket = await accepted.promise
  await expect(timePassesUntil(socket.send('x'.repeat(FRAME)))).rejects.toThrow('before the message was sent')
  expect(await timePassesUntil(socket.closed)).toEqual({ code: 1006, reason: 'no sign of life' })
})

test('gives up a peer that stops sending in the middle of a frame', async () => {
  const accepted = Promise.withResolvers<TestSocket>()
  await using server = await startServer(ws => accepted.resolve(wrapSocket(ws, { ...options, ...beat })))
  await using _peer = await rawPeer(server.port, frame(1, 'x'.repeat(1_000), { length: MIB }))
  expect(await timePassesUntil((await accepted.promise).closed)).toEqual({ code: 1006, reason: 'no sign of life' })
})

test('keeps a quiet connection whose pings are answered', async () => {
  await using pair = await connectPair({ near: beat, far: { ...beat, heartbeatMs: 50 } })
  const ended = Promise.race([pair.near.closed, pair.far.closed])
  expect(await Promise.race([ended, timeoutsPass(5)])).toBe('alive')
})

test('does not count silence while we do not read', async () => {
  await using pair = await connectPair({ far: { ...beat, maxQueuedFrames: 1 } })
  await pair.near.send('first')
  expect(await Promise.race([pair.far.closed, timeoutsPass(5)])).toBe('alive')
  expect(await pair.far.receive()).toBe('first')
  await pair.near.send('second')
  expect(await pair.far.receive()).toBe('second')
})

test('reads what has arrived before it gives a peer up after a pause of the process', async () => {
  // Node has one beat for all that were missed; vitest would have them all.
  vi.useRealTimers()
  await using pair = await connectPair({ near: beat })
  const until = performance.now() + 5 * beat.heartbeatTimeoutMs
  while (performance.now() < until) Math.random()
  await pair.near.send('still here')
  expect(await pair.far.receive()).toBe('still here')
  expect(pair.near.isOpen).toBe(true)
})
