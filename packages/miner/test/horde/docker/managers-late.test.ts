/** An engine that hangs while a manager asks it for a container, and creates it after the call was given up. */

import { manualClock, systemClock } from '@horde/kit/time'
import { PrivateEngine } from '@horde/testing/private-engine'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dockerManager } from '../../../src/horde/docker.ts'
import type { ExecutorManager } from '../../../src/horde/manager.ts'
import { capturedLog } from '../../captured-log.ts'

/** Any image will do: it is never started. */
const IMAGE = 'compute-horde/echo:v0'
/** How long the manager waits for an engine's answer, in milliseconds. */
const CALL_MS = 60_000
const ORDER = { token: 'a-token', minerAddress: 'ws://127.0.0.1:1', executorClass: 'always_on.test', environment: {} }

let engine: PrivateEngine
beforeAll(async () => {
  engine = await PrivateEngine.start()
  await engine.load(IMAGE)
})
afterAll(() => engine?.[Symbol.asyncDispose]())

const created = () => {
  const filters = ['--filter', 'type=container', '--filter', 'event=create']
  return engine.docker('events', '--since', '1', '--until', String(Date.now() / 1000), ...filters)
}

it('removes the job containers of an executor along with it, and no others', async () => {
  const manager = await dockerManager({
    ...{ image: IMAGE, pullImage: false, engine: { socket: engine.socket }, owner: 'a miner', stopWithinMs: 60_000 },
    ...{ clock: systemClock, log: capturedLog().log },
  })
  await using stack = new AsyncDisposableStack()
  stack.defer(() => manager.close?.())
  const executor = await manager.start(ORDER)
  const id = await engine.docker('inspect', '--format', '{{.Id}}', executor.id.replace('container ', ''))
  const jobOf = (name: string) => engine.docker('create', '--label', `compute-horde.executor=container/${name}`, IMAGE)
  await jobOf(id)
  const other = await jobOf('f'.repeat(64))
  await executor.stop(0)
  expect(await engine.docker('ps', '--all', '--quiet', '--no-trunc')).toBe(other)
  await engine.docker('rm', other)
})

describe('a manager removes what an engine created after its call was given up:', () => {
  it.each([
    ['an executor', (manager: ExecutorManager) => manager.start(ORDER)],
    ['a probe', (manager: ExecutorManager) => manager.probe?.({ command: ['true'], gpus: [] })],
  ])('%s', async (_, ask) => {
    const clock = manualClock()
    const address = { socket: engine.socket }
    const manager = await dockerManager({
      ...{ image: IMAGE, pullImage: false, engine: address, owner: 'a miner', stopWithinMs: 0, clock },
      log: capturedLog().log,
    })
    await using stack = new AsyncDisposableStack()
    stack.defer(() => manager.close?.())
    stack.defer(() => engine.resume())
    await manager.look?.()
    const before = (await created()).split('\n').filter(Boolean).length
    await engine.pause()
    let failed: Error | undefined
    const asked = Promise.resolve(ask(manager)).catch(error => {
      failed = error
    })
    await expect.poll(() => clock.advance(CALL_MS).then(() => failed?.message)).toContain('creating a container')
    await asked
    await engine.resume()
    await expect.poll(async () => (await created()).split('\n').filter(Boolean).length).toBe(before + 1)
    await expect.poll(() => engine.docker('ps', '--all', '--quiet')).toBe('')
  })
})
