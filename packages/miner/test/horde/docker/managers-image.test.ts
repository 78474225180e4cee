/** The executor image: a present one is used as it is, a missing one is pulled, and the miner goes on without it. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { type Clock, manualClock, systemClock } from '@horde/kit/time'
import { TestRegistry } from '@horde/testing/registry/docker-registry'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { PULL_MS } from '../../../src/horde/docker/executor-image.ts'
import { dockerManager } from '../../../src/horde/docker.ts'
import type { ExecutorManager, ExecutorOrder } from '../../../src/horde/manager.ts'
import { capturedLog } from '../../captured-log.ts'

/** A small image, whose container ends by itself. */
const IMAGE = 'compute-horde/echo:v0'

const run = promisify(execFile)
const docker = async (...args: string[]) => (await run('docker', args)).stdout.trim()
const order = (): ExecutorOrder => ({
  token: `${randomUUID()}-${randomUUID()}`,
  minerAddress: 'ws://127.0.0.1:1',
  executorClass: 'always_on.test',
  environment: {},
})

let registry: TestRegistry
beforeAll(async () => {
  registry = await TestRegistry.start()
})
afterAll(() => registry[Symbol.asyncDispose]())

let owner: string
let logged: ReturnType<typeof capturedLog>
const messages = () => logged.lines.map(({ msg }) => msg)
beforeEach(() => {
  owner = `test-${randomUUID()}`
  logged = capturedLog()
  return async () => {
    const ids = (await docker('ps', '-aq', '--filter', `label=compute-horde.miner=${owner}`)).split('\n')
    expect(ids).toEqual([''])
  }
})

function open(image: string, pullImage = true, clock: Clock = systemClock) {
  const engine = { socket: '/var/run/docker.sock' }
  return dockerManager({ image, pullImage, engine, owner, stopWithinMs: 1_000, clock, log: logged.log })
}

/** Starts one executor, and stops it when it has ended. */
async function startOne(manager: ExecutorManager): Promise<void> {
  const executor = await manager.start(order())
  expect(await executor.exited).toMatch(/^exit code/)
  await executor.stop()
}

it('pulls a missing image, and the first executor waits for it', async () => {
  const manager = await open(await registry.pushAs(IMAGE, `executor-${randomUUID()}`))
  await startOne(manager)
  expect(messages()).toEqual(['pulling the executor image', 'executor image pulled'])
  await startOne(manager)
  expect(messages()).toHaveLength(2)
  await manager.close?.()
})

it('runs executors in the network that the settings name', async () => {
  const network = `test-${randomUUID()}`
  await docker('network', 'create', '--internal', network)
  const engine = { socket: '/var/run/docker.sock' }
  const options = { image: IMAGE, pullImage: false, engine, network, owner, stopWithinMs: 1_000, clock: systemClock }
  const manager = await dockerManager({ ...options, log: logged.log })
  const executor = await manager.start(order())
  await executor.exited
  const id = await docker('ps', '-aq', '--filter', `label=compute-horde.miner=${owner}`)
  const networks = await docker('inspect', '--format', '{{json .NetworkSettings.Networks}}', id)
  expect(Object.keys(JSON.parse(networks))).toEqual([network])
  await executor.stop()
  await manager.close?.()
  await docker('network', 'rm', network)
})

it('uses a present image as it is, whatever a registry has', async () => {
  const local = `${registry.host}/${randomUUID()}`
  await docker('tag', IMAGE, local)
  const manager = await open(local)
  await startOne(manager)
  expect(messages()).toEqual([])
  await docker('rmi', local)
  await manager.close?.()
})

it('pulls nothing where that is switched off, and a start says so', async () => {
  const name = await registry.pushAs(IMAGE, `executor-${randomUUID()}`)
  const manager = await open(name, false)
  await expect(manager.start(order())).rejects.toThrow(`has no image ${name}, and pulling it is switched off`)
  expect(messages()).toEqual(['the executor image is not available: executors cannot be started'])
  // An operator who loads the image by hand need not restart the miner.
  await docker('pull', '--quiet', name)
  await startOne(manager)
  await manager.close?.()
})

it('starts executors again after the image was missing for a while', async () => {
  const name = await registry.pushAs(IMAGE, `executor-${randomUUID()}`)
  await registry.stop()
  const clock = manualClock()
  const manager = await open(name, true, clock)
  await expect(manager.start(order())).rejects.toThrow(/could not be pulled: .*connection refused/)
  expect(messages()).toContain('the executor image is not available: executors cannot be started')
  await registry.resume()
  await expect(manager.start(order())).rejects.toThrow(/could not be pulled/)
  await clock.advance(60_000)
  await startOne(manager)
  await manager.close?.()
})

it.each([
  ['its deadline', async (clock: ReturnType<typeof manualClock>) => clock.advance(PULL_MS), /not done within/],
  ['the miner stops', async (_: unknown, manager: ExecutorManager) => manager.close?.(), /could not be pulled/],
])('waits for the image until %s', async (_name, then, words) => {
  let asked = false
  const mute = createServer(() => {
    asked = true
  }).listen(0, '127.0.0.1')
  await once(mute, 'listening')
  const clock = manualClock()
  const manager = await open(`127.0.0.1:${(mute.address() as { port: number }).port}/executor:v1`, true, clock)
  const starting = expect(manager.start(order())).rejects.toThrow(words)
  await expect.poll(() => asked).toBe(true)
  await then(clock, manager)
  await starting
  mute.close()
  await manager.close?.()
})
