import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { withDeadline } from '@horde/kit/time'
import { expectNothingLeft, job } from '@horde/testing/jobs/executor-job'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'

/** What miners give an executor between SIGTERM and SIGKILL, in milliseconds. */
const STOP_MS = 10_000
const SLEEPER = 'import time; print("up", flush=True); time.sleep(600)'

let spawner: TestMiner
beforeAll(async () => {
  spawner = await TestMiner.start()
})
afterAll(() => spawner[Symbol.asyncDispose]())

/** A miner that stops reading: at once, when the job is ready, or when it is answered. */
async function hangingMiner(wanted: { offer: object; work: object }, until: 'connected' | 'ready' | 'answered') {
  const hanging = Promise.withResolvers<void>()
  const hang = (ws: WebSocket) => {
    ws.pause()
    hanging.resolve()
  }
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  server.on('connection', ws => {
    if (until === 'connected') return hang(ws)
    ws.on('message', data => {
      const { message_type } = JSON.parse(data.toString())
      if (message_type === 'V0ReadyRequest') ws.send(JSON.stringify(wanted.work))
      if (message_type !== 'V0ReadyRequest' || until === 'ready') hang(ws)
    })
    ws.send(JSON.stringify(wanted.offer))
  })
  await once(server, 'listening')
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hanging: hanging.promise,
    [Symbol.asyncDispose]: async () => {
      for (const client of server.clients) client.terminate()
      server.close()
    },
  }
}

describe('an executor that is stopped while its miner hangs is gone before the miner would kill it', () => {
  test.each([
    ['connected', 'import sys'],
    ['ready', SLEEPER],
    ['answered', 'print("quick")'],
  ] as const)('%s', async (until, script) => {
    const wanted = await job({ script })
    await using server = await hangingMiner(wanted, until)
    const executor = spawner.spawn({ MINER_ADDRESS: server.url }, `${randomUUID()}-${randomUUID()}`)
    await server.hanging
    executor.process.kill('SIGTERM')
    expect(await withDeadline(executor.exited, STOP_MS * 0.7, 'an executor that was stopped')).toBe(1)
    await expectNothingLeft(wanted, executor)
  })
})
