/** Images on the real engine, from a real registry on loopback. */
import { randomUUID } from 'node:crypto'
import { importRandom, PASSWORD, TestRegistry, tagImage } from '@horde/testing/registry/docker-registry'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { engine } from '../engine.ts'
import { ImageHost } from './image-host.ts'

const { signal } = new AbortController()
const NO_DIGEST = `sha256:${'0'.repeat(64)}`

let registry: TestRegistry
let locked: TestRegistry
let host: ImageHost
beforeAll(async () => {
  ;[registry, locked] = await Promise.all([TestRegistry.start(), TestRegistry.start({ isPrivate: true })])
})
afterAll(async () => {
  await registry[Symbol.asyncDispose]()
  await locked[Symbol.asyncDispose]()
})
beforeEach(async () => {
  host = await ImageHost.open()
})
afterEach(() => host[Symbol.asyncDispose]())

const newName = (tag: string, at = registry) => `${at.host}/${randomUUID()}:${tag}`
const ensure = (name: string, env: Record<string, string> = {}) => host.executor(env).ensure(name, 'job', signal)
const failure = async (name: string, env: Record<string, string> = {}) => {
  const error = await ensure(name, env).catch(error => error)
  expect(error).toMatchObject({ name: 'ImageError' })
  return error.message
}

test('pulls a missing image, and asks neither engine nor registry again', async () => {
  const name = newName('1')
  const digest = await registry.push(name)
  const executor = host.executor({ IMAGE_PULL_POLICY: 'always' })
  const image = await executor.ensure(name, 'job', signal)
  expect(image).toMatchObject({ name, tags: [name], digests: [digest] })
  expect(host.logged('info')).toEqual(['pulling an image', 'image pulled'])
  expect(await executor.ensure(name, 'job', signal)).toBe(image)
  expect(host.logged('info')).toHaveLength(2)
})

test('pulls latest, and not all tags, for a name without a tag', async () => {
  const name = newName('latest')
  const repository = name.replace(/:latest$/, '')
  await registry.push(name)
  await registry.push(`${repository}:other`)
  expect(await ensure(repository)).toMatchObject({ name, tags: [name] })
  expect(await engine.images.find(`${repository}:other`)).toBeUndefined()
})

test.each([
  ['latest', {}, true],
  ['cuda-latest', {}, true],
  ['1', {}, false],
  ['latest1', {}, false],
  ['1', { IMAGE_PULL_POLICY: 'always' }, true],
  ['latest', { IMAGE_PULL_POLICY: 'missing' }, false],
  ['latest', { IMAGE_PULL_POLICY: 'never' }, false],
])('refreshes a present image with tag %s and %j: %s', async (tag, policy, isRefreshed) => {
  const name = newName(tag)
  await registry.push(name)
  const old = await ensure(name)
  await registry.push(name)
  const { id } = await ensure(name, policy)
  expect(id !== old.id).toBe(isRefreshed)
})

test('does not pull a missing image with the policy never', async () => {
  const name = newName('latest')
  await registry.push(name)
  expect(await failure(name, { IMAGE_PULL_POLICY: 'never' })).toBe(
    `The image ${name} is not on this host, which pulls no images`,
  )
})

test('does not ask a registry for an image that was made here', async () => {
  const name = `compute-horde-test/${randomUUID()}:latest`
  await importRandom(name)
  try {
    await ensure(name, { IMAGE_PULL_POLICY: 'always' })
    expect(host.lines).toEqual([])
  } finally {
    await engine.images.remove(name)
  }
})

describe('an image with a name of another repository than it was pulled from', () => {
  test.each(['latest', '1'])('is not refreshed, with the tag %s', async tag => {
    const [pulled, retagged] = [newName('latest'), `registry.invalid/${randomUUID()}:${tag}`]
    await registry.push(pulled)
    const { id } = await ensure(pulled)
    await tagImage(pulled, retagged)
    try {
      host.lines.length = 0
      expect(await ensure(retagged, { IMAGE_PULL_POLICY: 'always' })).toMatchObject({
        id,
        digests: [expect.anything()],
      })
      expect(await ensure(retagged)).toMatchObject({ id })
      expect(host.lines).toEqual([])
    } finally {
      await engine.images.remove(retagged)
    }
  })

  test('is refreshed under each repository that it was pulled from', async () => {
    const [one, other] = [newName('latest'), newName('latest')]
    const local = `compute-horde-test/${randomUUID()}:1`
    await importRandom(local)
    await registry.pushLocal(local, one)
    await registry.pushLocal(local, other)
    await engine.images.remove(local)
    await ensure(one)
    await ensure(other)
    for (const name of [one, other]) {
      host.lines.length = 0
      expect((await ensure(name)).digests).toHaveLength(2)
      expect(host.logged('info')).toEqual(['pulling an image', 'the image is up to date'])
    }
  })
})

test('uses the present image when the registry is away or no longer has it', async () => {
  const [name, secret] = [newName('latest'), newName('latest', locked)]
  await registry.push(name)
  await locked.push(secret)
  const [old, oldSecret] = [
    await ensure(name),
    await ensure(secret, { DOCKER_AUTH_CONFIG: locked.authConfig(PASSWORD) }),
  ]
  await registry.stop()
  try {
    expect((await ensure(name)).id).toBe(old.id)
  } finally {
    await registry.resume()
  }
  expect((await ensure(secret)).id).toBe(oldSecret.id)
  const sentence = 'the image could not be refreshed; using the one on this host'
  expect(host.logged('warn')).toEqual([sentence, sentence])
  expect(host.lines.filter(({ why }) => why !== undefined).map(({ why }) => why)).toEqual([
    `The registry of the image ${name} does not answer`,
    `The registry of the image ${secret} asks for credentials, and this host has none for it`,
  ])
})

describe('a private registry', () => {
  test('gets the password, and no other registry does', async () => {
    const name = newName('1', locked)
    await locked.push(name)
    const auths = { [locked.host]: { auth: btoa('user:wrong') }, [registry.host]: { auth: btoa(`user:${PASSWORD}`) } }
    expect(await failure(name)).toContain('asks for credentials, and this host has none for it')
    expect(await failure(name, { DOCKER_AUTH_CONFIG: JSON.stringify({ auths }) })).toContain(
      'refuses the credentials that this host has for it',
    )
    expect(await failure(name, { DOCKER_AUTH_CONFIG: registry.authConfig(PASSWORD) })).toContain('asks for credentials')
    expect((await ensure(name, { DOCKER_AUTH_CONFIG: locked.authConfig(PASSWORD) })).tags).toEqual([name])
    expect(JSON.stringify(host.lines)).not.toMatch(new RegExp(`${PASSWORD}|${btoa(`user:${PASSWORD}`)}|user:wrong`))
  })
})

test('has a sentence for each failure', async () => {
  const there = newName('1')
  await registry.push(there)
  const repository = there.replace(/:1$/, '')
  expect([
    await failure(`${repository}:2`),
    await failure(`${registry.host}/none:1`),
    await failure(`${repository}@${NO_DIGEST}`),
    await failure('127.0.0.1:1/a:1'),
    await failure('registry.invalid/a:1'),
    await failure('a/B'),
    await failure('Upper/a:1'),
    await failure('0'.repeat(64)),
  ]).toEqual([
    `The registry has no image ${repository}:2`,
    `The registry has no image ${registry.host}/none:1`,
    `The registry has no image ${repository}@${NO_DIGEST}`,
    'The registry of the image 127.0.0.1:1/a:1 does not answer',
    'The registry of the image registry.invalid/a:1 has an unknown host name',
    'The image that the job names has no valid name',
    'The engine does not accept Upper/a:1 as the name of an image',
    'The image that the job names has no valid name',
  ])
})

describe('a digest', () => {
  test('decides what is pulled, whatever the tag, and is found again without a pull', async () => {
    const name = newName('1')
    const digest = await registry.push(name)
    await registry.push(name)
    const image = await ensure(`${name.replace(/:1$/, ':none')}${digest.slice(digest.indexOf('@'))}`)
    expect(image).toMatchObject({ name: digest, tags: [], digests: [digest] })
    await registry.stop()
    try {
      expect(await ensure(digest, { IMAGE_PULL_POLICY: 'always' })).toMatchObject({ id: image.id })
      expect(host.logged('warn')).toEqual([])
    } finally {
      await registry.resume()
    }
  })

  test('can be required of images that jobs name, and only of them', async () => {
    const [pinned, loose] = [newName('1'), newName('1')]
    const digest = await registry.push(pinned)
    await registry.push(loose)
    const env = { REQUIRE_IMAGE_DIGEST: 'true', IMAGE_ALIASES: `tool=${digest}` }
    expect(await failure(loose, env)).toBe(
      `The image ${loose} is refused: this host requires names with a digest, name@sha256:…`,
    )
    expect((await ensure(digest, env)).name).toBe(digest)
    expect((await ensure('docker.io/library/tool:latest', env)).name).toBe(digest)
    expect((await host.executor(env).ensure(loose, 'operator', signal)).name).toBe(loose)
  })
})
