/** Pulls from a registry that fails: a proxy between it and the engine breaks its answers. */
import { randomUUID } from 'node:crypto'
import { removeRepository, TestRegistry } from '@horde/testing/registry/docker-registry'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { engineDisk } from '../../src/container/disk.ts'
import { ImageError, pullImage } from '../../src/images/pull-image.ts'
import { engine } from '../engine.ts'
import { ImageHost } from './image-host.ts'
import { RegistryProxy } from './registry-proxy.ts'

const { signal } = new AbortController()
const LAYER_BYTES = 2_000_000

let registry: TestRegistry
let proxy: RegistryProxy
let host: ImageHost
/** The image's path in the registry, which is asked for it by way of the proxy. */
let path: string
let name: string
beforeAll(async () => {
  registry = await TestRegistry.start()
})
afterAll(() => registry[Symbol.asyncDispose]())
beforeEach(async () => {
  proxy = await RegistryProxy.start(registry.port)
  host = await ImageHost.open()
  path = randomUUID()
  name = `${proxy.host}/${path}:latest`
  await registry.push(`${registry.host}/${path}:latest`, LAYER_BYTES)
})
afterEach(async () => {
  await removeRepository(`${proxy.host}/${path}`)
  await proxy[Symbol.asyncDispose]()
  await host[Symbol.asyncDispose]()
})

const ensure = (env: Record<string, string> = {}) => host.executor(env).ensure(name, 'job', signal)
const layersAsked = () => proxy.requests.filter(request => request.includes('/blobs/')).length

test('waits for a silent registry as long as a pull may take', async () => {
  proxy.manner = 'silent'
  const started = performance.now()
  await expect(ensure({ PULL_TIMEOUT_SECONDS: '1' })).rejects.toThrow(
    `The image ${name} is not available: its registry sent nothing within 1 seconds`,
  )
  expect(performance.now() - started).toBeGreaterThan(990)
})

test('ends a pull in the engine when its time is over', async () => {
  proxy.manner = 'slow'
  await expect(ensure({ PULL_TIMEOUT_SECONDS: '2' })).rejects.toThrow(
    `The image ${name} was not pulled within 2 seconds`,
  )
  expect(layersAsked()).toBeGreaterThan(0)
  await expect.poll(() => [...proxy.open]).toEqual([])
  expect(await engine.images.find(name)).toBeUndefined()
})

test('ends a pull in the engine when it is aborted', async () => {
  proxy.manner = 'slow'
  const stop = new AbortController()
  const pull = host.executor().ensure(name, 'job', stop.signal)
  await expect.poll(layersAsked).toBeGreaterThan(0)
  stop.abort(new Error('enough'))
  await expect(pull).rejects.toThrow('enough')
  await expect.poll(() => [...proxy.open]).toEqual([])
})

test('ends a pull in the engine when it would fill the disk', async () => {
  proxy.manner = 'slow'
  const roomy = { bytes: 1_000, freeBytes: 500, inodes: 0, freeInodes: 0 }
  const disk = async () => (layersAsked() === 0 ? roomy : { ...roomy, freeBytes: 40 })
  const options = { credentials: undefined, pullMs: 30_000, disk, diskMs: 50, log: host.log }
  await expect(pullImage(engine, name, options, signal)).rejects.toThrow(
    `The disk of this host is too full for the image ${name}`,
  )
  await expect.poll(() => [...proxy.open]).toEqual([])
  expect(await engine.images.find(name)).toBeUndefined()
})

test('has sentences for a pull that breaks off and for wrong contents', async () => {
  proxy.manner = 'without layers'
  await expect(ensure()).rejects.toThrow(`The registry of the image ${name} broke off the transfer`)
  proxy.manner = 'other layers'
  await expect(ensure()).rejects.toThrow(`The registry sends other contents for the image ${name} than its digest says`)
  proxy.manner = 'pass'
  await expect(ensure()).resolves.toMatchObject({ name })
})

test('logs the progress of a pull', async () => {
  proxy.manner = 'slow'
  const disk = () => engineDisk('/')
  const options = { credentials: undefined, pullMs: 3_000, progressMs: 200, disk, log: host.log }
  await expect(pullImage(engine, name, options, signal)).rejects.toThrow(ImageError)
  const lines = host.lines.filter(({ msg }) => msg === 'still pulling an image')
  expect(lines.length).toBeGreaterThan(1)
  expect(lines.length).toBeLessThan(16)
  expect(lines.at(-1)).toMatchObject({ image: name, layers: 1, layersDone: 0 })
  const { bytes, totalBytes } = lines.at(-1) as { bytes: number; totalBytes: number }
  expect(totalBytes).toBeGreaterThan(LAYER_BYTES)
  expect(bytes).toBeGreaterThan(0)
  expect(bytes).toBeLessThan(totalBytes)
})

test('waits for the first bytes of a refresh only for its own time', async () => {
  const old = await ensure()
  const env = { REFRESH_TIMEOUT_SECONDS: '1', PULL_TIMEOUT_SECONDS: '3' }
  proxy.manner = 'silent'
  expect((await ensure(env)).id).toBe(old.id)
  await registry.push(`${registry.host}/${path}:latest`, LAYER_BYTES)
  proxy.manner = 'slow'
  expect((await ensure(env)).id).toBe(old.id)
  proxy.manner = 'pass'
  expect((await ensure(env)).id).not.toBe(old.id)
  expect(host.lines.filter(({ why }) => why !== undefined).map(({ why }) => why)).toEqual([
    `The image ${name} is not available: its registry sent nothing within 1 seconds`,
    `The image ${name} was not pulled within 3 seconds`,
  ])
})

test('asks the engine once for an image', async () => {
  await ensure()
  proxy.requests.length = 0
  const executor = host.executor()
  await executor.ensure(name, 'job', signal)
  const asked = proxy.requests.length
  expect(asked).toBeGreaterThan(0)
  await executor.ensure(name.replace(/:latest$/, ''), 'job', signal)
  expect(proxy.requests).toHaveLength(asked)
})
