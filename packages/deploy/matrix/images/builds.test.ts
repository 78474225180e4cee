/** Images are built by BuildKit, by the classic builder and by both versions of Compose, and keep nothing of how they were built. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '@horde/kit/testing/port'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type ChainAndWallets, startChainAndWallets } from './chain-and-wallets.ts'
import {
  addedAuthorities,
  BASE_IMAGE,
  buildImages,
  buildTools,
  CHECKOUT,
  DOCKER_CLIENT,
  docker,
  POSTGRES_IMAGE,
} from './images.ts'
import { RoleProject } from './role-project.ts'

const run = promisify(execFile)
const BUILD_MS = 900_000
const PREFIX = 'compute-horde-built'
const REVISION = '0123456789abcdef0123456789abcdef01234567'
const MIB = 1024 * 1024
/** The largest image of a role on Debian's packages, in MiB: docker/README.md lists what they weigh. */
const MOST_MIB = { executor: 300, miner: 350, validator: 340 }

let folder: string
/** A certificate authority that nothing needs, and a line of it by which it is found. */
let authority: { pem: string; line: string }
let world: ChainAndWallets
beforeAll(async () => {
  await buildImages('postgres')
  await buildTools()
  folder = await mkdtemp(join(tmpdir(), 'builds-'))
  authority = await newAuthority(folder)
  world = await startChainAndWallets()
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
  const names = (await docker('images', '--format', '{{.Repository}}:{{.Tag}}')).split('\n')
  const own = names.filter(name => name.startsWith(`${PREFIX}-`))
  if (own.length > 0) await docker('rmi', '--force', ...own)
})

it.each([
  ['BuildKit', '1'],
  ['the classic builder', '0'],
])('%s builds every target, and a private authority is in no layer', async (_, buildkit) => {
  const certificates = `${await addedAuthorities()}\n${authority.pem}`
  for (const role of ['executor', 'miner', 'validator'] as const) {
    const image = `${PREFIX}-${buildkit}/${role}:1.2.3`
    const values = { BASE_IMAGE, CA_CERTIFICATE: certificates, VERSION: '1.2.3', REVISION }
    const options = Object.entries(values).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`])
    const command = ['build', '--file', 'docker/Dockerfile', '--target', role, '--tag', image, ...options, '.']
    const env = { ...process.env, DOCKER_BUILDKIT: buildkit }
    await run(DOCKER_CLIENT, command, { cwd: CHECKOUT, env, timeout: BUILD_MS, maxBuffer: 64 * MIB })

    const [{ Config, Size }] = JSON.parse(await docker('image', 'inspect', image))
    expect(Config.Labels).toMatchObject({
      'org.opencontainers.image.version': '1.2.3',
      'org.opencontainers.image.revision': REVISION,
      'org.opencontainers.image.title': `compute-horde ${role}`,
    })
    expect(Config.Healthcheck.Test).toEqual(['CMD', 'node', 'docker/image/health-check.js'])
    expect(Config.User).toBe(role === 'validator' ? '1000:1000' : '')
    expect(Size / MIB).toBeLessThan(MOST_MIB[role])
    const said = await docker('run', '--rm', '--network', 'none', image, '--help').catch(({ stderr }) => stderr)
    expect(said).toMatch(FIRST_WORDS[role])
    expect(await countInLayers(image, authority.line)).toBe(0)
    expect(await countInLayers(image, 'org.opencontainers.image.version')).toBeGreaterThan(0)
  }
})

it.each([
  ['validator', 'v1'],
  ['miner', 'v2'],
] as const)('a %s starts from a checkout by Compose %s, which builds what is missing', async (role, compose) => {
  const port = String(await freePort())
  await using project = await RoleProject.create({
    role,
    compose,
    environment: {
      ...{ IMAGE_PREFIX: `${PREFIX}-${compose}`, POSTGRES_IMAGE, BASE_IMAGE, SOURCE_FOLDER: CHECKOUT },
      ...{ ...world.environmentOf(world[role]), ADMIN_PORT: String(await freePort()) },
      ...{ PUBLIC_ADDRESS: world.address, PUBLIC_PORT: port, BITTENSOR_MINER_ADDRESS: world.address },
      ...{ EXECUTOR_NETWORK: `test-executors-${port}`, EXECUTOR_CLASS: 'always_on.test' },
    },
  })
  await project.compose('up', '--detach')
  await project.isHealthy(role)
  if (role === 'miner') {
    const executor = await docker('image', 'inspect', '--format', '{{.Id}}', `${PREFIX}-${compose}/executor:dev`)
    expect(executor).toMatch(/^sha256:/)
  }
})

/** What a role says when it is asked for help; an executor, which knows no help, misses its settings. */
const FIRST_WORDS = { executor: /EXECUTOR_TOKEN: is not set/, miner: /serves validators/, validator: /runs batches/ }

async function newAuthority(place: string): Promise<{ pem: string; line: string }> {
  const [key, certificate] = [join(place, 'key.pem'), join(place, 'authority.pem')]
  const options = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=nobody needs this']
  await run('openssl', ['req', ...options, '-keyout', key, '-out', certificate])
  const pem = await readFile(certificate, 'utf8')
  return { pem, line: pem.split('\n')[5] ?? '' }
}

/** How many lines of an image's layers and settings hold a text. */
async function countInLayers(image: string, text: string): Promise<number> {
  const save = spawn('docker', ['save', image], { stdio: ['ignore', 'pipe', 'inherit'] })
  const grep = spawn('grep', ['--text', '--count', '--fixed-strings', '--', text], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  save.stdout.pipe(grep.stdin)
  let printed = ''
  grep.stdout.on('data', part => {
    printed += part
  })
  await Promise.all([once(save, 'close'), once(grep, 'close')])
  return Number(printed)
}
