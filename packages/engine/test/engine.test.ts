/** The client against real sockets and this machine's engine. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { manualClock } from '@horde/kit/time'
import { WAIT_MS } from '@horde/testing/limits'
import { expect, onTestFinished, test } from 'vitest'
import { connectDefaultEngine, connectEngine } from '../src/connect.ts'
import { readOutput } from '../src/container-output.ts'

const PYTHON = 'compute-horde/python:3.11'

/** Serves HTTP on a socket of its own, and returns the path. */
async function serve(listener: RequestListener): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'engine-test-'))
  const server = createServer(listener).listen(join(folder, 'engine.sock'))
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true })
  })
  return join(folder, 'engine.sock')
}

test('runs a container and returns its output and exit code', async () => {
  await using engine = await connectDefaultEngine()
  const code = 'import sys; print("out", flush=True); print("err", file=sys.stderr); sys.exit(3)'
  const options = { Image: PYTHON, Cmd: ['python', '-c', code], HostConfig: { NetworkMode: 'none' } }
  const name = `compute-horde-test-${randomUUID()}`
  const id = await engine.containers.create(options, name)
  try {
    const output = readOutput(await engine.containers.attach(id))
    await engine.containers.start(id)
    expect(await engine.containers.waitForEnd(id, AbortSignal.timeout(WAIT_MS))).toBe(3)
    // Each line may come in several pieces, in any order.
    expect([...(await output)].sort().join('').trim()).toBe([...'errout'].sort().join(''))
    expect(await engine.containers.endOf(name)).toMatchObject({ exitCode: 3, outOfMemory: false })
  } finally {
    await engine.containers.remove(id)
  }
  await engine.containers.remove(id)
  expect(await engine.containers.isRunning(id)).toBe(false)
})

test('distinguishes refusals by their code and problem', async () => {
  await using engine = await connectDefaultEngine()
  const missing = `compute-horde-test-${randomUUID()}`
  await expect(engine.containers.endOf(missing)).rejects.toMatchObject({ code: 'not-found', problem: undefined })
  await expect(engine.containers.create({ Image: `${missing}:1` })).rejects.toMatchObject({
    code: 'not-found',
    problem: 'no-image',
  })
  const id = await engine.containers.create({ Image: PYTHON, Cmd: ['/no/such/program'] })
  try {
    await expect(engine.containers.start(id)).rejects.toMatchObject({ problem: 'cannot-run' })
    await expect(engine.containers.start(id, '/no/such/program')).rejects.toMatchObject({ problem: 'cannot-run' })
    await expect(engine.containers.start(id, '/another')).rejects.toMatchObject({ problem: undefined })
  } finally {
    await engine.containers.remove(id)
  }
})

test('is unreachable where there is no socket, and says so', async () => {
  await using engine = await connectEngine({ socket: '/nowhere/engine.sock' })
  await expect(engine.ping()).rejects.toMatchObject({
    code: 'unreachable',
    message:
      'pinging the engine: the engine at unix:///nowhere/engine.sock could not be reached: there is no such socket',
  })
})

test('is unreachable when the connection breaks before the answer', async () => {
  const socket = await serve(request => request.socket.destroy())
  await using engine = await connectEngine({ socket })
  await expect(engine.ping()).rejects.toMatchObject({ code: 'unreachable' })
  await expect(engine.containers.waitForEnd('a', AbortSignal.timeout(WAIT_MS))).rejects.toMatchObject({
    code: 'unreachable',
  })
})

test('gives up a call after its limit, and still reports when the answer comes', async () => {
  const asked = Promise.withResolvers<() => void>()
  const socket = await serve((_, response) => {
    asked.resolve(() => response.writeHead(201, { 'content-type': 'application/json' }).end('{"Id":"late"}'))
  })
  const clock = manualClock()
  await using engine = await connectEngine({ socket }, { callMs: 5_000, clock })
  const created = engine.containers.create({ Image: 'a' }).then(
    () => undefined,
    error => error,
  )
  const answer = await asked.promise
  await clock.advance(5_000)
  const error = await created
  expect(error).toMatchObject({ code: 'late', message: expect.stringContaining('did not answer within 5 s') })
  answer()
  expect(await error.lateAnswer).toMatchObject({ id: 'late' })
})

test('reports the problem of a pull that fails in the middle', async () => {
  const events = [{ status: 'Pulling from a', id: '1' }, { error: 'unexpected EOF' }]
  const socket = await serve((_, response) => response.end(events.map(event => JSON.stringify(event)).join('\n')))
  await using engine = await connectEngine({ socket })
  const seen: unknown[] = []
  const pull = async () => {
    for await (const event of engine.images.pull('a:1', undefined, AbortSignal.timeout(WAIT_MS))) seen.push(event)
  }
  await expect(pull()).rejects.toMatchObject({ code: 'refused', problem: 'broken-off' })
  expect(seen).toEqual([events[0]])
})
