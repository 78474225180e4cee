/**
 * A role on a server that has Docker, Compose and a plain checkout, by the commands of docker/README.md: what is missing is
 * built there, with every setting that is not about the chain as it is by default.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { NETUID } from '@horde/devnet/genesis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { TestRegistry } from '../../src/testing/test-registry.ts'
import { TestServer } from '../../src/testing/test-server.ts'
import { type ChainAndWallets, startChainAndWallets } from './chain-and-wallets.ts'
import { BASE_IMAGE, buildTools, CHECKOUT, TOOLS_IMAGE } from './images.ts'

const run = promisify(execFile)
const HEALTHY_MS = 240_000
const CERTIFICATES = '/usr/local/share/ca-certificates'
/** How each is run on the server; the newer one is a plugin of Docker's client. */
const PROGRAMS = { v1: 'docker-compose', v2: 'docker compose' }
const PLUGIN = '/usr/local/lib/docker/cli-plugins/docker-compose'

let registry: TestRegistry
let world: ChainAndWallets
beforeAll(async () => {
  await buildTools()
  registry = await TestRegistry.start()
  await registry.pushPostgres()
  // The server's Docker takes it for Docker Hub's.
  await registry.push(BASE_IMAGE, 'library/debian:bookworm-slim')
  world = await startChainAndWallets()
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

it.each([
  ['miner', 'v2'],
  ['miner', 'v1'],
  ['validator', 'v2'],
] as const)('a %s is built and runs from a plain checkout by Compose %s', async (role, version) => {
  await using server = await TestServer.start({ kind: 'with-docker', registry: registry.images })
  await bringCheckout(server)
  if (version === 'v2') await bringPlugin(server)
  await bringWallet(server, role)
  const settings = {
    ...{ POSTGRES_PASSWORD: 'a1b2c3', WALLET_FOLDER: '/root/wallets', BITTENSOR_WALLET_NAME: world[role].name },
    ...{ BITTENSOR_NETWORK: world.chain.url, BITTENSOR_NETUID: String(NETUID) },
    ...(role === 'miner' ? { BITTENSOR_MINER_ADDRESS: world.address, EXECUTOR_CLASS: 'always_on.test' } : {}),
  }
  await fillIn(server, role, settings)

  const compose = (words: string) =>
    server.sh(
      `cd /root/checkout && export CA_CERTIFICATE="$(cat ${CERTIFICATES}/*.crt)" && ` +
        `${PROGRAMS[version]} -f docker/compose.${role}.yml ${words}`,
    )
  await compose('up -d')
  const container = (await compose(`ps -q ${role}`)).split('\n').at(-1)
  await server.until(`docker inspect --format '{{.State.Health.Status}}' ${container} | grep -qx healthy`, HEALTHY_MS)
  const images = (await server.sh("docker images --format '{{.Repository}}:{{.Tag}}'")).split('\n')
  expect(images).toEqual(
    expect.arrayContaining([
      `compute-horde/${role}:dev`,
      ...(role === 'miner' ? ['compute-horde/executor:dev'] : []),
      'postgres:15',
    ]),
  )
  const check = await compose(`exec -T ${role} node packages/${role}/src/main.ts check || true`)
  expect(check).toContain(`ok   hotkey: ${world[role].hotkey}`)
})

/** What git has of the checkout, and nothing that was installed or built in it. */
async function bringCheckout(server: TestServer): Promise<void> {
  const unpack = `docker exec -i ${server.container} sh -c 'mkdir /root/checkout && tar -x -C /root/checkout'`
  const pack = `git ls-files -z | tar -c --null --verbatim-files-from --files-from - | ${unpack}`
  await run('bash', ['-c', `set -o pipefail; ${pack}`], { cwd: CHECKOUT })
  for (const name of await readdir(CERTIFICATES).catch(() => [])) {
    await server.write(`${CERTIFICATES}/${name}`, await readFile(join(CERTIFICATES, name), 'utf8'))
  }
}

async function bringPlugin(server: TestServer): Promise<void> {
  const print = `docker run --rm ${TOOLS_IMAGE} cat /opt/compose-v2/usr/libexec/docker/cli-plugins/docker-compose`
  const install = `install -D -m 755 /dev/stdin ${PLUGIN}`
  await run('bash', ['-c', `set -o pipefail; ${print} | docker exec -i ${server.container} ${install}`])
}

async function bringWallet(server: TestServer, role: 'miner' | 'validator'): Promise<void> {
  const { WALLET_FOLDER = '' } = world.environmentOf(world[role])
  const file = join(world[role].name, 'hotkeys/default')
  await server.write(join('/root/wallets', file), await readFile(join(WALLET_FOLDER, file), 'utf8'), '600')
  await server.sh('chown -R 1000:1000 /root/wallets && chmod 711 /root')
}

/** Copies the example, and sets what an owner sets. */
async function fillIn(server: TestServer, role: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const edits = Object.entries(settings).map(([name, value]) => `-e 's|^#*${name}=.*|${name}=${value}|'`)
  await server.sh(`cd /root/checkout/docker && sed ${edits.join(' ')} ${role}.env.example >.env`)
  for (const name of Object.keys(settings)) await server.sh(`grep -q '^${name}=.' /root/checkout/docker/.env`)
}
