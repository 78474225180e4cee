/** The command `preload`, as an operator starts it. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { PASSWORD, TestRegistry } from '@horde/testing/registry/docker-registry'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { ImageUses } from '../src/images/image-uses.ts'
import { engine } from './engine.ts'
import { ImageHost } from './image-host.ts'

const MAIN = fileURLToPath(new URL('../src/start.js', import.meta.url))
const { signal } = new AbortController()

let registry: TestRegistry
let host: ImageHost
beforeAll(async () => {
  registry = await TestRegistry.start({ isPrivate: true })
})
afterAll(() => registry[Symbol.asyncDispose]())
beforeEach(async () => {
  host = await ImageHost.open()
})
afterEach(() => host[Symbol.asyncDispose]())

const newName = () => `${registry.host}/${randomUUID()}:1`

/** Runs the command to its end. Its log, parsed, or its stderr where that is not empty. */
async function preload(env: Record<string, string>) {
  const auth = { DOCKER_AUTH_CONFIG: registry.authConfig(PASSWORD) }
  const options = { env: { PATH: process.env.PATH, STATE_FOLDER: host.path, ...auth, ...env } }
  return new Promise<{ code: unknown; lines: Record<string, unknown>[]; stderr: string }>(resolve => {
    execFile(process.execPath, [MAIN, 'preload'], options, (error, stdout, stderr) => {
      const lines = stdout.split('\n').filter(Boolean)
      resolve({ code: error?.code ?? 0, lines: lines.map(line => JSON.parse(line)), stderr })
    })
  })
}

test('gets what is on the list, a line for each, and removes what is not', async () => {
  const [first, second, old] = [newName(), newName(), newName()]
  for (const name of [first, second, old]) await registry.push(name)
  const env = { DOCKER_AUTH_CONFIG: registry.authConfig(PASSWORD) }
  const { id } = await host.executor(env).ensure(old, 'job', signal)
  await new ImageUses(host.state, () => Date.now() - 7_200_000).pulled(id, old)
  const { code, lines } = await preload({ PRELOAD_IMAGES: `${first}, ${second}`, IMAGE_DISK_THRESHOLD_PERCENT: '1' })
  expect(code).toBe(0)
  expect(lines.filter(({ msg }) => msg === 'the image is here').map(({ image }) => image)).toEqual([first, second])
  const here = await Promise.all([first, second, old].map(name => engine.image(name)))
  expect(here.map(image => image !== undefined)).toEqual([true, true, false])
})

test('what is not to be had is told, and the rest is got', async () => {
  const name = newName()
  await registry.push(name)
  const missing = newName()
  const { code, lines } = await preload({ PRELOAD_IMAGES: `${missing},${name}` })
  expect(code).toBe(1)
  expect(lines.find(({ level }) => level === 'error')).toMatchObject({
    image: missing,
    why: `The registry has no image ${missing}`,
  })
  expect(await engine.image(name)).toBeDefined()
  expect(JSON.stringify(lines)).not.toContain(PASSWORD)
})

test('without a list there is nothing to do', async () => {
  expect(await preload({})).toMatchObject({ code: 0, stderr: '' })
})

test('wrong settings are told without the password', async () => {
  const wrong = { PRELOAD_IMAGES: 'a b', DOCKER_AUTH_CONFIG: `{"auths":{"x":{"password":"${PASSWORD}"}}}` }
  const { code, stderr } = await preload(wrong)
  expect(code).toBe(78)
  expect(stderr).toContain('PRELOAD_IMAGES: must be names of images')
  expect(stderr).toContain('DOCKER_AUTH_CONFIG: entry 1 of auths has no "auth"')
  expect(stderr).not.toContain(PASSWORD)
  expect(stderr).not.toContain('MINER_ADDRESS')
})
