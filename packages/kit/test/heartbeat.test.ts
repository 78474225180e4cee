/**
 * Beats that a test has pass, as many as it likes: the intervals of the heartbeat and of slow links are vitest's, all else
 * (sockets, closing) has the machine's time. Between two beats what was sent arrives, however slow the machine is.
 */
import { once } from 'node:events'
import { dialSocket, wrapSocket } from '@horde/kit/socket'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { WebSocket } from 'ws'
import { connectPair, frame, MIB, options, rawPeer, slowLink, startServer, type TestSocket, ticks } from './wire.ts'

/** So short that a large frame on a slow link takes many times as long. */
const beat = { heartbeatMs: 40, heartbeatTimeoutMs: 160 }
const FRAME = 40 * MIB
/** 3 MiB each 40 ms: 40 MiB take half a second. */
const link = slowLink(3 * MIB, 40)
/** How much time passes in one go, and how often the event loop turns meanwhile: a ping and its pong need three of them. */
const STEP_MS = 10
const TURNS = 20

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

async function step(): Promise<void> {
  vi.advanceTimersByTime(STEP_MS)
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

test('a large frame arriving slowly counts as life', async () => {
  await using pair = await connectPair({ near: beat }, link)
  const said = pair.far.say('x'.repeat(FRAME))
  expect(String(await timePassesUntil(pair.near.hear())).length).toBe(FRAME)
  await timePassesUntil(said)
})

test('a large frame leaving slowly counts as life', async () => {
  await using pair = await connectPair({ near: beat }, link)
  const said = pair.near.say('x'.repeat(FRAME))
  expect(String(await timePassesUntil(pair.far.hear())).length).toBe(FRAME)
  await timePassesUntil(said)
  expect(pair.near.isOpen).toBe(true)
})

test('large frames both ways at once, with both sides beating', async () => {
  await using pair = await connectPair({ near: beat, far: beat }, link)
  const said = Promise.all([pair.near.say('x'.repeat(FRAME)), pair.far.say('y'.repeat(FRAME))])
  expect(
    (await timePassesUntil(Promise.all([pair.near.hear(), pair.far.hear()]))).map(String).map(text => text.length),
  ).toEqual([FRAME, FRAME])
  await timePassesUntil(said)
})

test("a peer's ping is answered while a large frame is on its way to it", async () => {
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
  await timePassesUntil(Promise.all([whole, pong, said]))
  expect(order).toEqual(['pong', 'message'])
})

/** Connects a peer that never answers a ping. */
async function withoutPongs() {
  const accepted = Promise.withResolvers<TestSocket>()
  const stack = new AsyncDisposableStack()
  const server = stack.use(
    await startServer(ws => accepted.resolve(wrapSocket(ws, { closeTimeoutMs: 300, ...options, ...beat }))),
  )
  // It takes as much in one go as lets the kernel's buffers move, however long a turn of the event loop takes.
  const peer = stack.use(await rawPeer(server.port, undefined, 4 * MIB))
  return { peer, socket: await accepted.promise, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

test('a frame that arrives in one piece, slowly, counts as life without any pong', async () => {
  await using pair = await withoutPongs()
  const bytes = frame(1, JSON.stringify('x'.repeat(4 * MIB)))
  const piece = Math.ceil(bytes.length / 40)
  let sent = 0
  const timer = setInterval(() => {
    pair.peer.write(bytes.subarray(sent, sent + piece))
    sent += piece
    if (sent >= bytes.length) clearInterval(timer)
  }, 20)
  expect(String(await timePassesUntil(pair.socket.hear())).length).toBe(4 * MIB)
})

test('a peer that takes a frame slowly counts as alive without any pong', async () => {
  await using pair = await withoutPongs()
  pair.peer.pause()
  const timer = setInterval(() => pair.peer.read(), 1)
  await timePassesUntil(pair.socket.say('x'.repeat(FRAME)))
  clearInterval(timer)
  expect(pair.socket.isOpen).toBe(true)
})

test('a peer that is silent is given up', async () => {
  const accepted = Promise.withResolvers<TestSocket>()
  await using server = await startServer(ws => accepted.resolve(wrapSocket(ws, { ...options, ...beat })))
  await using _peer = await rawPeer(server.port)
  const socket = await accepted.promise
  expect(await timePassesUntil(socket.hear())).toBeUndefined()
  expect(await timePassesUntil(socket.closed)).toEqual({ code: 1006, reason: 'no sign of life' })
})

test('a peer that stops reading in the middle of a frame is given up', async () => {
  const accepted = Promise.withResolvers<TestSocket>()
  await using server = await startServer(ws => accepted.resolve(wrapSocket(ws, { ...options, ...beat })))
  await using peer = await rawPeer(server.port)
  peer.pause()
  const socket = await accepted.promise
  await expect(timePassesUntil(socket.say('x'.repeat(FRAME)))).rejects.toThrow('before a message was out')
  expect(await timePassesUntil(socket.closed)).toEqual({ code: 1006, reason: 'no sign of life' })
})

test('a peer that stops in the middle of its own frame is given up', async () => {
  const accepted = Promise.withResolvers<TestSocket>()
  await using server = await startServer(ws => accepted.resolve(wrapSocket(ws, { ...options, ...beat })))
  await using _peer = await rawPeer(server.port, frame(1, 'x'.repeat(1_000), { length: MIB }))
  expect(await timePassesUntil((await accepted.promise).closed)).toEqual({ code: 1006, reason: 'no sign of life' })
})

test('a quiet connection lives as long as its pings are answered', async () => {
  await using pair = await connectPair({ near: beat, far: { ...beat, heartbeatMs: 50 } })
  const ended = Promise.race([pair.near.closed, pair.far.closed])
  expect(await Promise.race([ended, timeoutsPass(5)])).toBe('alive')
})

test('while we do not read, silence of the peer is our own doing', async () => {
  await using pair = await connectPair({ far: { ...beat, maxQueuedFrames: 1 } })
  await pair.near.say('first')
  expect(await Promise.race([pair.far.closed, timeoutsPass(5)])).toBe('alive')
  expect(await pair.far.hear()).toBe('first')
  await pair.near.say('second')
  expect(await pair.far.hear()).toBe('second')
})

test('a process that was held up reads what came before it judges', async () => {
  // Node has one beat for all that were missed; vitest would have them all.
  vi.useRealTimers()
  await using pair = await connectPair({ near: beat })
  const until = performance.now() + 5 * beat.heartbeatTimeoutMs
  while (performance.now() < until) Math.random()
  await pair.near.say('still here')
  expect(await pair.far.hear()).toBe('still here')
  expect(pair.near.isOpen).toBe(true)
})
