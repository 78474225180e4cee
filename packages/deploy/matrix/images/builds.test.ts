/** Builds every image with BuildKit and with the classic builder, and searches its layers for build leftovers. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { TestRegistry } from '../../src/testing/test-registry.ts'
import { addedCertificates, BASE_IMAGE, CHECKOUT, DOCKER_CLIENT, docker } from './images.ts'
import { countInLayers, createAuthority } from './layers.ts'

const run = promisify(execFile)
const BUILD_MS = 1_200_000
const PREFIX = 'compute-horde-built'
const VERSION = '1.2.3'
const REVISION = '0123456789abcdef0123456789abcdef01234567'
const MIB = 1024 * 1024
/** The largest size of a role's image on Debian's packages, in MiB. docker/README.md lists the actual sizes. */
const MAX_MIB = { executor: 275, miner: 320, validator: 305 }
/** What a role prints for --help. An executor has no help: it complains about missing settings. */
const HELP = { executor: /EXECUTOR_TOKEN: is not set/, miner: /serves validators/, validator: /runs batches/ }
const ROLES = ['executor', 'miner', 'validator'] as const
/** The images that have a folder of their own, each with a program to run and what it prints. */
const OTHER_IMAGES = [
  { name: 'echo', program: ['/bin/busybox', 'echo', 'works'], prints: 'works' },
  { name: 'python', program: ['python', '--version'], prints: /^Python 3\.11/ },
  { name: 'postgres', program: ['postgres', '--version'], prints: /PostgreSQL\) 15\./ },
  { name: 'hashcat', program: ['hashcat', '--version'], prints: /^v6\./ },
]

let authority: { pem: string; line: string }
/** Has the base image under the name of the public one. */
let registry: TestRegistry
let publicBase: string
beforeAll(async () => {
  authority = await createAuthority()
  registry = await TestRegistry.start()
  publicBase = await registry.push(BASE_IMAGE, 'library/debian:bookworm-slim')
})
afterAll(async () => {
  await registry?.[Symbol.asyncDispose]()
  const names = (await docker('images', '--format', '{{.Repository}}:{{.Tag}}')).split('\n')
  const own = names.filter(name => name.startsWith(`${PREFIX}-`))
  if (own.length > 0) await docker('rmi', '--force', ...own)
})

it.each(withBothBuilders(ROLES.map(role => ({ role }))))(
  '$builder builds the $role without the private certificate authority in a layer',
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
    expect(Size / MIB).toBeLessThan(MAX_MIB[role])
    expect(await helpOf(image)).toMatch(HELP[role])
    expect(await countInLayers(image, authority.line)).toBe(0)
    expect(await countInLayers(image, 'org.opencontainers.image.version')).toBeGreaterThan(0)
  },
)

it.each(withBothBuilders([{}]))(
  '$builder leaves the private certificate authority in the stage `tools`, so the search can find it',
  async ({ buildkit }) => {
    const image = `${PREFIX}-${buildkit}/tools:${VERSION}`
    await buildRole('tools', image, buildkit, BASE_IMAGE)
    expect(await countInLayers(image, authority.line)).toBeGreaterThan(0)
  },
)

it.each(withBothBuilders(ROLES.map(role => ({ role }))))(
  '$builder builds the $role on a base image from a registry',
  async ({ buildkit, role }) => {
    await docker('rmi', publicBase).catch(() => {})
    const image = `${PREFIX}-${buildkit}/${role}:public`
    await buildRole(role, image, buildkit, publicBase)
    expect(await helpOf(image)).toMatch(HELP[role])
    expect(await countInLayers(image, authority.line)).toBe(0)
  },
)

it.each(withBothBuilders(OTHER_IMAGES))(
  '$builder builds the image $name',
  async ({ buildkit, name, program, prints }) => {
    const image = `${PREFIX}-${buildkit}/${name}:${VERSION}`
    await build([`docker/${name}`, '--tag', image, '--build-arg', `BASE_IMAGE=${BASE_IMAGE}`], buildkit)
    const [entrypoint = '', ...rest] = program
    const options = ['--rm', '--network', 'none', '--entrypoint', entrypoint]
    expect(await docker('run', ...options, image, ...rest)).toMatch(prints)
    expect(await countInLayers(image, authority.line)).toBe(0)
  },
)

/** Returns each case twice: with each builder's name, and the value of DOCKER_BUILDKIT that selects it. */
function withBothBuilders<Case extends object>(cases: readonly Case[]) {
  const builders = [
    { builder: 'BuildKit', buildkit: '1' },
    { builder: 'the classic builder', buildkit: '0' },
  ]
  return builders.flatMap(builder => cases.map(each => ({ ...builder, ...each })))
}

/** Returns what a role's image prints for --help, on stdout or stderr. */
function helpOf(image: string): Promise<string> {
  return docker('run', '--rm', '--network', 'none', image, '--help').catch(({ stderr }: { stderr: string }) => stderr)
}

/** Builds a target of docker/Dockerfile on the base image `base`, with the private certificate authority. */
async function buildRole(target: string, image: string, buildkit: string, base: string): Promise<void> {
  const certificates = `${await addedCertificates()}\n${authority.pem}`
  const values = { BASE_IMAGE: base, CA_CERTIFICATE: certificates, VERSION, REVISION }
  const options = Object.entries(values).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`])
  await build(['--file', 'docker/Dockerfile', '--target', target, '--tag', image, ...options, '.'], buildkit)
}

/** Runs `docker build` in the checkout. */
async function build(args: readonly string[], buildkit: string): Promise<void> {
  const env = { ...process.env, DOCKER_BUILDKIT: buildkit }
  await run(DOCKER_CLIENT, ['build', ...args], { cwd: CHECKOUT, env, timeout: BUILD_MS, maxBuffer: 64 * MIB })
}
