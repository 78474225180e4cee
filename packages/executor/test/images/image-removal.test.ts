/** Removal of unused images, on the real engine: only images of this test are ever candidates. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { importRandom, TestRegistry } from '@horde/testing/registry/docker-registry'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { ImageUses } from '../../src/images/image-uses.ts'
import { removeUnusedImages } from '../../src/images/remove-unused-images.ts'
import { engine } from '../engine.ts'
import { ImageHost } from './image-host.ts'

const run = promisify(execFile)
const { signal } = new AbortController()
const HOUR_MS = 3_600_000
/** Every disk is fuller than that. */
const FULL = { IMAGE_DISK_THRESHOLD_PERCENT: '1' }

let registry: TestRegistry
let host: ImageHost
const made: string[] = []
beforeAll(async () => {
  registry = await TestRegistry.start()
})
afterAll(() => registry[Symbol.asyncDispose]())
beforeEach(async () => {
  host = await ImageHost.open()
})
afterEach(async () => {
  for (const name of made.splice(0)) await engine.images.remove(name)
  await host[Symbol.asyncDispose]()
})

const newName = (tag = '1') => `${registry.host}/${randomUUID()}:${tag}`
const isHere = async (name: string) => (await engine.images.find(name)) !== undefined

/** An image that an executor pulled, and that was last used so long ago. */
async function pulled(name: string, hoursAgo: number): Promise<string> {
  await registry.push(name)
  const { id } = await host.executor().ensure(name, 'job', signal)
  await usedBefore(hoursAgo).pulled(id, name)
  return id
}

/** One that is remembered as pulled, and comes faster. */
async function asIfPulled(hoursAgo: number): Promise<string> {
  const name = `compute-horde-test/${randomUUID()}:1`
  await importRandom(name)
  made.push(name)
  const { id } = await host.executor().ensure(name, 'job', signal)
  await usedBefore(hoursAgo).pulled(id, name)
  return name
}

const usedBefore = (hours: number) => new ImageUses(host.state, () => Date.now() - hours * HOUR_MS)

test('removes an image that was not used for long, with all its names', async () => {
  const [name, other] = [newName(), newName('2')]
  const id = await pulled(name, 2)
  await run('docker', ['tag', name, other])
  await registry.pushLocal(name, other)
  await host.executor().ensure(other, 'job', signal)
  await usedBefore(3).pulled(id, other)
  await host.executor(FULL).makeRoom(signal)
  expect([await isHere(id), await isHere(name), await isHere(other)]).toEqual([false, false, false])
  expect(await new ImageUses(host.state, Date.now).all()).toEqual([])
  expect(host.logged('info')).toContain('removed an unused image')
  expect(host.logged('warn')).toEqual([])
})

test('keeps images that are pinned, used lately, in use or have another name', async () => {
  const names = {
    pinned: await asIfPulled(2),
    preloaded: await asIfPulled(2),
    python: await asIfPulled(2),
    alias: await asIfPulled(2),
    recent: await asIfPulled(0.9),
    inUse: await asIfPulled(2),
    tagged: await asIfPulled(2),
    gone: await asIfPulled(2),
  }
  const own = `compute-horde-test/${randomUUID()}:1`
  made.push(own)
  await run('docker', ['tag', names.tagged, own])
  const container = await engine.containers.create({ Image: names.inUse, Cmd: ['/none'] })
  try {
    const pins = { PINNED_IMAGES: names.pinned, PRELOAD_IMAGES: names.preloaded, PYTHON_IMAGE: names.python }
    await host.executor({ ...FULL, ...pins, IMAGE_ALIASES: `tool=${names.alias}` }).makeRoom(signal)
    const { gone, ...staying } = names
    expect(await isHere(gone)).toBe(false)
    for (const [why, name] of Object.entries(staying)) expect(await isHere(name), why).toBe(true)
    expect(host.logged('warn')).toEqual([])
  } finally {
    await engine.containers.remove(container)
  }
})

test('keeps images that executors did not pull, also when jobs ran in them', async () => {
  const [pulledByHand, imported] = [newName('latest'), `compute-horde-test/${randomUUID()}:1`]
  await registry.push(pulledByHand)
  await run('docker', ['pull', '--quiet', pulledByHand])
  await importRandom(imported)
  made.push(imported)
  for (const name of [pulledByHand, imported]) await host.executor().ensure(name, 'job', signal)
  expect(await host.state.names()).toEqual([])
  await host.executor(FULL).makeRoom(signal)
  expect([await isHere(pulledByHand), await isHere(imported)]).toEqual([true, true])
})

test('removes the old image after a newer one was pulled under its tag', async () => {
  const name = newName('latest')
  const old = await pulled(name, 2)
  await registry.push(name)
  const { id } = await host.executor().ensure(name, 'job', signal)
  expect(await isHere(old)).toBe(true)
  await host.executor({ ...FULL, PINNED_IMAGES: name }).makeRoom(signal)
  expect([await isHere(old), await isHere(id)]).toEqual([false, true])
})

test('keeps an image that was used again', async () => {
  const name = newName()
  const id = await pulled(name, 5)
  await host.executor().ensure(name, 'job', signal)
  await host.executor(FULL).makeRoom(signal)
  expect(await isHere(id)).toBe(true)
})

test('removes the least recently used first and no more than needed, also with several executors', async () => {
  const names: string[] = []
  for (const hours of [3, 5, 4, 2]) names.push(await asIfPulled(hours))
  const here = async () => (await Promise.all(names.map(isHere))).filter(Boolean).length
  const removal = (least: number) => ({
    engine,
    uses: new ImageUses(host.state, Date.now),
    pinned: [],
    thresholdPercent: 80,
    // A disk that is full as long as there are more images.
    usedPercent: async () => ((await here()) > least ? 90 : 79),
    log: host.log,
  })
  await removeUnusedImages(removal(4), signal)
  expect(await here()).toBe(4)
  await removeUnusedImages(removal(2), signal)
  expect(await Promise.all(names.map(isHere))).toEqual([true, false, false, true])
  await Promise.all([1, 2, 3].map(() => removeUnusedImages(removal(0), signal)))
  expect(await here()).toBe(0)
  expect(host.logged('warn')).toEqual([])
})

test('forgets an image that another program removed', async () => {
  const name = newName()
  await pulled(name, 2)
  await engine.images.remove(name)
  await host.executor(FULL).makeRoom(signal)
  expect(await host.state.names()).toEqual([])
})
