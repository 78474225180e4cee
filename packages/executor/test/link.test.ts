import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { silentLog } from '@horde/kit/log'
import { jobUuid } from '@horde/protocol/primitives'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws'
import { MinerLink } from '../src/miner-link.ts'
import { engine, expectGoodEnd, expectNothingLeft, job, readied, resultOn } from './jobs.ts'
import { hear, TestMiner } from './miner.ts'

const QUICK = { RECONNECT_DELAY_SECONDS: '0.1' }
const SLEEPER = 'import time; print("on", flush=True); time.sleep(600)'
/** By RFC 6455, what a server adds to the key that it accepts. */
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

let miner: TestMiner
beforeAll(async () => {
  miner = await TestMiner.start()
})
afterAll(() => miner[Symbol.asyncDispose]())

/** A miner whose WebSockets are in the test's own hands. */
async function rawMiner(onConnection: (ws: WebSocket) => void, options: ServerOptions = {}) {
  const server = new WebSocketServer({ ...options, port: 0, host: '127.0.0.1' }).on('connection', onConnection)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `ws://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => new Promise<void>(resolve => server.close(() => resolve())),
  }
}

/** Resolves when a job's container runs. */
async function untilRunning({ job_uuid }: { job_uuid: string }): Promise<string> {
  for (;;) {
    for (const { id } of await engine.containersWith(`compute-horde.job=${job_uuid}`)) {
      if (await engine.isRunning(id)) return id
    }
  }
}

describe('what is out of order gets its one answer, and the job goes on', () => {
  test('broken frames, doubled and early messages, other jobs', async () => {
    const wanted = await job({ files: { 'payload.txt': 'still here' } })
    const executor = miner.spawn()
    const connection = await executor.connection()
    const objection = async (message: unknown) => {
      await connection.say(message)
      return (await hear(connection, 'GenericError')).details
    }
    expect(await objection('just text')).toBe('the frame is not a JSON object')
    expect(await objection({ message_type: 'V0Nonsense' })).toBe('message_type is missing or not one of this link')
    expect(await objection({ ...wanted.offer, timeout_seconds: 'soon' })).toContain('timeout_seconds')
    expect(await objection(wanted.work)).toBe('no job was prepared here')
    await connection.say({ message_type: 'GenericError', details: 'never answered' })
    await connection.say(wanted.offer)
    expect(await objection(wanted.offer)).toBe('a job was already prepared here')
    await hear(connection, 'V0ReadyRequest')
    expect(await objection({ ...wanted.work, job_uuid: randomUUID() })).toBe('another job was prepared here')
    await connection.say(wanted.work)
    expect(await objection(wanted.work)).toBe('the job was already started')
    expect(await resultOn(connection)).toMatchObject({ docker_process_stdout: 'still here' })
    await expectGoodEnd(executor, connection)
    await expectNothingLeft(wanted, executor)
  })

  test('work that comes right behind the offer is refused until the job is ready', async () => {
    const wanted = await job({ files: { 'payload.txt': 'patience' } })
    const executor = miner.spawn()
    const connection = await executor.connection()
    await connection.say(wanted.offer)
    await connection.say(wanted.work)
    expect((await hear(connection, 'GenericError')).details).toBe('the job is not ready yet')
    await hear(connection, 'V0ReadyRequest')
    await connection.say(wanted.work)
    expect(await resultOn(connection)).toMatchObject({ docker_process_stdout: 'patience' })
  })

  test('binary frames', async () => {
    const answer = Promise.withResolvers<string>()
    await using server = await rawMiner(ws => {
      ws.on('message', data => {
        answer.resolve(data.toString())
        ws.close(1000)
      })
      ws.send(Buffer.from('{}'))
    })
    const executor = miner.spawn({ MINER_ADDRESS: server.url })
    expect(JSON.parse(await answer.promise)).toEqual({
      message_type: 'GenericError',
      details: 'binary frames are not part of this protocol',
    })
    expect(await executor.exit()).toBe(0)
  })
})

describe('a miner that has no use for an executor', () => {
  test('dismisses it by closing before any job', async () => {
    const executor = miner.spawn()
    const connection = await executor.connection()
    await connection.close(1000)
    expect(await executor.exit()).toBe(0)
  })

  test('refuses its token with an error', async () => {
    const executor = miner.spawn()
    const connection = await executor.connection()
    await connection.say({ message_type: 'GenericError', details: 'unknown token' })
    await connection.close(1000)
    expect(await executor.exit()).toBe(1)
    expect(executor.log).not.toContain(executor.token)
  })

  test('refuses the upgrade itself', async () => {
    await using server = await rawMiner(() => {}, { verifyClient: () => false })
    const executor = miner.spawn({ MINER_ADDRESS: server.url })
    expect(await executor.exit()).toBe(1)
    expect(executor.log).toContain('status 401')
  })

  test('is not there at all', async () => {
    const executor = miner.spawn({ MINER_ADDRESS: 'ws://127.0.0.1:1', RECONNECT_DELAY_SECONDS: '0.01' })
    expect(await executor.exit()).toBe(1)
    expect(executor.log).toContain('connection given up')
    expect(executor.log).not.toContain(executor.token)
  })

  test('never sends the work', async () => {
    const wanted = await job({})
    const { executor } = await readied(miner, wanted, { WORK_TIMEOUT_SECONDS: '1' })
    expect(await executor.exit()).toBe(1)
    await expectNothingLeft(wanted, executor)
  })
})

describe('a miner that goes away', () => {
  test('in the middle of a run and comes back gets the result', async () => {
    const wanted = await job({ script: 'import time; time.sleep(1.5); print("made it")' })
    const { executor, connection } = await readied(miner, wanted, QUICK)
    await connection.say(wanted.work)
    await untilRunning(wanted)
    await connection.close(1011)
    const again = await executor.connection()
    expect(await resultOn(again)).toMatchObject({ docker_process_stdout: 'made it\n' })
    await expectGoodEnd(executor, again)
    await expectNothingLeft(wanted, executor)
  })

  test('and restarts at its address gets the result', async () => {
    const wanted = await job({ files: { 'payload.txt': 'restarted' } })
    await using passing = await TestMiner.start()
    const { port } = passing
    const { executor, connection } = await readied(passing, wanted, QUICK)
    await connection.say(wanted.work)
    await untilRunning(wanted)
    await passing.vanish()
    await using returned = await TestMiner.start(port)
    const again = await returned.arrival(executor.token)
    expect(await resultOn(again)).toMatchObject({ docker_process_stdout: 'restarted' })
    expect(await executor.exit()).toBe(0)
  })

  test('before it has acknowledged the result gets it again', async () => {
    const wanted = await job({ files: { 'payload.txt': 'twice' } })
    const results: string[] = []
    await using server = await rawMiner(ws => {
      if (results.length === 0) ws.send(JSON.stringify(wanted.offer))
      ws.on('message', data => {
        const { message_type, docker_process_stdout } = JSON.parse(data.toString())
        if (message_type === 'V0ReadyRequest') return ws.send(JSON.stringify(wanted.work))
        results.push(docker_process_stdout)
        if (results.length === 1) ws.terminate()
      })
    })
    const executor = miner.spawn({ ...QUICK, MINER_ADDRESS: server.url })
    expect(await executor.exit()).toBe(0)
    expect(results).toEqual(['twice', 'twice'])
    await expectNothingLeft(wanted, executor)
  })

  test('in all but name, for it never acknowledges, is told only so often', async () => {
    let told = 0
    const server = createServer().on('upgrade', ({ headers }, socket) => {
      socket
        .on('error', () => {})
        .once('data', () => {
          told += 1
        })
      const accept = createHash('sha1').update(`${headers['sec-websocket-key']}${WEBSOCKET_GUID}`).digest('base64')
      const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
      socket.write([...lines, `Sec-WebSocket-Accept: ${accept}`, '', ''].join('\r\n'))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
    const signal = AbortSignal.timeout(10_000)
    const options = { address, token: 'any', attempts: 3, delayMs: 10, acknowledgeMs: 200, log: silentLog }
    const link = new MinerLink(options)
    const job_uuid = jobUuid.parse(randomUUID())
    link.answer({ message_type: 'V0FailedToPrepare', job_uuid }, signal).catch(() => {})
    expect(await link.stay(signal)).toBe('gave up')
    expect(told).toBe(3)
    server.close()
  })

  test('while the job is ready hears so again', async () => {
    const wanted = await job({ files: { 'payload.txt': 'ready twice' } })
    const { executor, connection } = await readied(miner, wanted, QUICK)
    await connection.close(1012)
    const again = await executor.connection()
    await hear(again, 'V0ReadyRequest')
    await again.say(wanted.work)
    expect(await resultOn(again)).toMatchObject({ docker_process_stdout: 'ready twice' })
    await expectGoodEnd(executor, again)
  })

  test('and never returns: the job is stopped, everything removed', async () => {
    const wanted = await job({ script: SLEEPER })
    await using passing = await TestMiner.start()
    const { executor, connection } = await readied(passing, wanted, { ...QUICK, RECONNECT_ATTEMPTS: '3' })
    await connection.say(wanted.work)
    await untilRunning(wanted)
    await passing.vanish()
    expect(await executor.exit()).toBe(1)
    await expectNothingLeft(wanted, executor)
  })
})

describe('an executor that is stopped', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('by %s in the middle of a run removes everything', async signal => {
    const wanted = await job({ script: SLEEPER })
    const { executor, connection } = await readied(miner, wanted)
    await connection.say(wanted.work)
    await untilRunning(wanted)
    executor.process.kill(signal)
    expect(await executor.exit()).toBe(1)
    await expectNothingLeft(wanted, executor)
  })

  test('by SIGTERM while it waits for a job exits', async () => {
    const executor = miner.spawn()
    await executor.connection()
    executor.process.kill('SIGTERM')
    expect(await executor.exit()).toBe(1)
  })

  test('by SIGKILL leaves what the next executor removes, and only that', async () => {
    const killed = await job({ script: SLEEPER })
    const alive = await job({ script: SLEEPER })
    const first = await readied(miner, killed)
    const neighbour = await readied(miner, alive)
    for (const [each, wanted] of [
      [first, killed],
      [neighbour, alive],
    ] as const) {
      await each.connection.say(wanted.work)
      await untilRunning(wanted)
    }
    await first.executor.kill()

    const next = await job({ files: { 'payload.txt': 'x' } })
    const { executor, connection } = await readied(miner, next)
    await connection.say(next.work)
    await resultOn(connection)
    await expectGoodEnd(executor, connection)
    await expectNothingLeft(killed, first.executor)
    await untilRunning(alive)
    neighbour.executor.process.kill('SIGTERM')
    await neighbour.executor.exit()
    await expectNothingLeft(alive, neighbour.executor)
  })
})
