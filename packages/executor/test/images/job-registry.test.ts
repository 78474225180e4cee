/** Jobs whose images come from a registry, run by executor processes. */
import { randomUUID } from 'node:crypto'
import { expectGoodEnd, expectNothingLeft, job, readied, result, resultOn } from '@horde/testing/jobs/executor-job'
import { receive, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { PASSWORD, TestRegistry } from '@horde/testing/registry/docker-registry'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ImageUses } from '../../src/images/image-uses.ts'
import { engine } from '../engine.ts'
import { ImageHost } from './image-host.ts'

const ECHO = 'compute-horde/echo:v0'

let miner: TestMiner
let registry: TestRegistry
let credentials: Record<string, string>
beforeAll(async () => {
  ;[miner, registry] = await Promise.all([TestMiner.start(), TestRegistry.start({ isPrivate: true })])
  credentials = { DOCKER_AUTH_CONFIG: registry.authConfig(PASSWORD) }
})
afterAll(async () => {
  await miner[Symbol.asyncDispose]()
  await registry[Symbol.asyncDispose]()
})

const newName = () => `${registry.host}/${randomUUID()}:1`

async function failsToPrepare(image: string, env: Record<string, string>): Promise<string> {
  const wanted = await job({ image })
  const executor = miner.spawn(env)
  const connection = await executor.connection()
  await connection.send(wanted.offer)
  await receive(connection, 'V0FailedToPrepare')
  await expectGoodEnd(executor, connection)
  return executor.log
}

test('runs a job in an image of a private registry, without logging the password', async () => {
  const name = newName()
  await registry.pushLocal(ECHO, name)
  const wanted = await job({ image: name, files: { 'payload.txt': 'from afar' } })
  const { executor, connection } = await readied(miner, wanted, { ...credentials, LOG_LEVEL: 'trace' })
  await connection.send(wanted.work)
  expect((await resultOn(connection)).docker_process_stdout).toBe('from afar')
  await expectGoodEnd(executor, connection)
  await expectNothingLeft(wanted, executor)
  expect(executor.log).toContain('pulling an image')
  expect(executor.log).not.toMatch(new RegExp(`${PASSWORD}|${btoa(`user:${PASSWORD}`)}`))
})

test('logs why it does not prepare: without credentials, or without a required digest', async () => {
  const name = newName()
  const digest = await registry.pushLocal(ECHO, name)
  expect(await failsToPrepare(name, {})).toContain('asks for credentials, and this host has none for it')
  const env = { ...credentials, REQUIRE_IMAGE_DIGEST: 'true' }
  expect(await failsToPrepare(name, env)).toContain('this host requires names with a digest')
  const answer = await result(miner, { image: digest, files: { 'payload.txt': 'pinned' } }, env)
  expect(answer.docker_process_stdout).toBe('pinned')
  // A raw script runs in the image that the operator chose.
  expect((await result(miner, { script: 'print(1)' }, env)).docker_process_stdout).toBe('1\n')
})

test.each([
  ['is here before one may come', true],
  ['is only missed when one comes', false],
])('the image for scripts %s', async (_, isThere) => {
  const name = newName()
  if (isThere) await registry.push(name)
  const wanted = await job({ image: ECHO, offeredImage: null, files: { 'payload.txt': 'hi' } })
  const { executor, connection } = await readied(miner, wanted, { ...credentials, PYTHON_IMAGE: name })
  expect((await engine.images.find(name)) !== undefined).toBe(isThere)
  await connection.send(wanted.work)
  expect((await resultOn(connection)).docker_process_stdout).toBe('hi')
  await expectGoodEnd(executor, connection)
  expect(executor.log.includes('an image for scripts is not available')).toBe(!isThere)
})

test('fails the job, not the host, when its image was removed before the work came', async () => {
  const name = newName()
  await registry.push(name)
  const wanted = await job({ image: name, args: ['/none'] })
  const { executor, connection } = await readied(miner, wanted, credentials)
  await engine.images.remove(name)
  await connection.send(wanted.work)
  expect(await resultOn(connection)).toMatchObject({
    message_type: 'V0FailedRequest',
    docker_process_exit_status: null,
    docker_process_stdout: `The image ${name} was removed from this host`,
  })
  await expectGoodEnd(executor, connection)
  await expectNothingLeft(wanted, executor)
})

test('removes unused images after the answer is delivered', async () => {
  await using host = await ImageHost.open()
  const name = newName()
  await registry.push(name)
  const { id } = await host.executor(credentials).ensure(name, 'job', new AbortController().signal)
  await new ImageUses(host.state, () => Date.now() - 7_200_000).pulled(id, name)
  const env = { STATE_FOLDER: host.path, IMAGE_DISK_THRESHOLD_PERCENT: '1' }
  expect((await result(miner, { script: 'print(1)' }, env)).docker_process_stdout).toBe('1\n')
  expect(await engine.images.find(id)).toBeUndefined()
})
