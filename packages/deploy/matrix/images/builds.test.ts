/** BuildKit and the classic builder both make every image, and the images keep nothing of how they were made. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { TestRegistry } from '../../src/testing/test-registry.ts'
import { addedAuthorities, BASE_IMAGE, CHECKOUT, DOCKER_CLIENT, docker } from './images.ts'
import { countInLayers, newAuthority } from './layers.ts'

const run = promisify(execFile)
const BUILD_MS = 1_200_000
const PREFIX = 'compute-horde-built'
const VERSION = '1.2.3'
const REVISION = '0123456789abcdef0123456789abcdef01234567'
const MIB = 1024 * 1024
/** The largest image of a role on Debian's packages, in MiB: docker/README.md lists what they weigh. */
const MOST_MIB = { executor: 275, miner: 320, validator: 305 }
/** What a role says when it is asked for help; an executor, which knows no help, misses its settings. */
const FIRST_WORDS = { executor: /EXECUTOR_TOKEN: is not set/, miner: /serves validators/, validator: /runs batches/ }
const ROLES = ['executor', 'miner', 'validator'] as const
/** The other images, each with a folder of its own; a program of each, and what it says. */
const OTHERS = [
  { name: 'echo', program: ['/bin/busybox', 'echo', 'works'], says: 'works' },
  { name: 'python', program: ['python', '--version'], says: /^Python 3\.11/ },
  { name: 'postgres', program: ['postgres', '--version'], says: /PostgreSQL\) 15\./ },
  { name: 'hashcat', program: ['hashcat', '--version'], says: /^v6\./ },
]

let authority: { pem: string; line: string }
/** Has the base under the name of the public one, as a registry on loopback has it. */
let registry: TestRegistry
let publicBase: string
beforeAll(async () => {
  authority = await newAuthority()
  registry = await TestRegistry.start()
  publicBase = await registry.push(BASE_IMAGE, 'library/debian:bookworm-slim')
})
afterAll(async () => {
  await registry?.[Symbol.asyncDispose]()
  const names = (await docker('images', '--format', '{{.Repository}}:{{.Tag}}')).split('\n')
  const own = names.filter(name => name.startsWith(`${PREFIX}-`))
  if (own.length > 0) await docker('rmi', '--force', ...own)
})

it.each(byBothBuilders(ROLES.map(role => ({ role }))))(
  '$builder builds the $role, and no layer holds a private authority',
  async ({ buildkit, role }) => {
    const image = `${PREFIX}-${buildkit}/${role}:${VERSION}`
    await buildRole(role, image, buildkit, BASE_IMAGE)
    const [{ Config, Size }] = JSON.parse(await docker('image', 'inspect', image))
    expect(Config.Labels).toMatchObject({
      'org.opencontainers.image.version': VERSION,
      'org.opencontainers.image.revision': REVISION,
      'org.opencontainers.image.title': `compute-horde ${role}`,
    })
    expect(Config.Healthcheck.Test).toEqual(['CMD', 'node', 'docker/image/health-check.js'])
    expect(Config.User).toBe(role === 'validator' ? '1000:1000' : '')
    expect(Size / MIB).toBeLessThan(MOST_MIB[role])
    expect(await firstWords(image)).toMatch(FIRST_WORDS[role])
    expect(await countInLayers(image, authority.line)).toBe(0)
    expect(await countInLayers(image, 'org.opencontainers.image.version')).toBeGreaterThan(0)
  },
)

it.each(byBothBuilders([{}]))(
  '$builder keeps the private authority in the stage with the tools, where the search finds it',
  async ({ buildkit }) => {
    const image = `${PREFIX}-${buildkit}/tools:${VERSION}`
    await buildRole('tools', image, buildkit, BASE_IMAGE)
    expect(await countInLayers(image, authority.line)).toBeGreaterThan(0)
  },
)

it.each(byBothBuilders(ROLES.map(role => ({ role }))))(
  '$builder builds the $role from a base of a registry',
  async ({ buildkit, role }) => {
    await docker('rmi', publicBase).catch(() => {})
    const image = `${PREFIX}-${buildkit}/${role}:public`
    await buildRole(role, image, buildkit, publicBase)
    expect(await firstWords(image)).toMatch(FIRST_WORDS[role])
    expect(await countInLayers(image, authority.line)).toBe(0)
  },
)

it.each(byBothBuilders(OTHERS))('$builder builds the image $name', async ({ buildkit, name, program, says }) => {
  const image = `${PREFIX}-${buildkit}/${name}:${VERSION}`
  await build([`docker/${name}`, '--tag', image, '--build-arg', `BASE_IMAGE=${BASE_IMAGE}`], buildkit)
  const [entrypoint = '', ...rest] = program
  const options = ['--rm', '--network', 'none', '--entrypoint', entrypoint]
  expect(await docker('run', ...options, image, ...rest)).toMatch(says)
  expect(await countInLayers(image, authority.line)).toBe(0)
})

/** @returns each case twice, with the name of a builder and the value of DOCKER_BUILDKIT that chooses it */
function byBothBuilders<Case extends object>(cases: readonly Case[]) {
  const builders = [
    { builder: 'BuildKit', buildkit: '1' },
    { builder: 'the classic builder', buildkit: '0' },
  ]
  return builders.flatMap(builder => cases.map(each => ({ ...builder, ...each })))
}

/** What a role's image prints when it is asked for help. */
function firstWords(image: string): Promise<string> {
  return docker('run', '--rm', '--network', 'none', image, '--help').catch(({ stderr }: { stderr: string }) => stderr)
}

async function buildRole(target: string, image: string, buildkit: string, base: string): Promise<void> {
  const certificates = `${await addedAuthorities()}\n${authority.pem}`
  const values = { BASE_IMAGE: base, CA_CERTIFICATE: certificates, VERSION, REVISION }
  const options = Object.entries(values).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`])
  await build(['--file', 'docker/Dockerfile', '--target', target, '--tag', image, ...options, '.'], buildkit)
}

async function build(args: readonly string[], buildkit: string): Promise<void> {
  const env = { ...process.env, DOCKER_BUILDKIT: buildkit }
  await run(DOCKER_CLIENT, ['build', ...args], { cwd: CHECKOUT, env, timeout: BUILD_MS, maxBuffer: 64 * MIB })
}
