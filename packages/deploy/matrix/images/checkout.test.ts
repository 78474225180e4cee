/**
 * Runs a role on a server that has Docker, Compose and a plain checkout, with the commands of docker/README.md. Compose
 * builds the missing images there. All settings that do not concern the chain have their defaults.
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
import { BASE_IMAGE, buildToolImages, CHECKOUT, TOOLS_IMAGE } from './images.ts'

const run = promisify(execFile)
const HEALTHY_MS = 240_000
const CERTIFICATES = '/usr/local/share/ca-certificates'
/** The command of each Compose version. Version 2 is a plugin of Docker's client. */
const COMPOSE = { v1: 'docker-compose', v2: 'docker compose' }
const PLUGIN = '/usr/local/lib/docker/cli-plugins/docker-compose'

let registry: TestRegistry
let localnet: ChainAndWallets
beforeAll(async () => {
  await buildToolImages()
  registry = await TestRegistry.start()
  await registry.pushPostgres()
  // The server's Docker pulls it as Docker Hub's.
  await registry.push(BASE_IMAGE, 'library/debian:bookworm-slim')
  localnet = await startChainAndWallets()
})
afterAll(async () => {
  await localnet?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

it.each([
  ['miner', 'v2'],
  ['miner', 'v1'],
  ['validator', 'v2'],
] as const)('Compose builds and runs a %s from a plain checkout (%s)', async (role, version) => {
  await using server = await TestServer.start({ kind: 'with-docker', registryFolder: registry.imagesFolder })
  await copyCheckout(server)
  if (version === 'v2') await installComposePlugin(server)
  await copyWallet(server, role)
  const settings = {
    ...{ POSTGRES_PASSWORD: 'a1b2c3', WALLET_FOLDER: '/root/wallets', BITTENSOR_WALLET_NAME: localnet[role].name },
    ...{ BITTENSOR_NETWORK: localnet.chain.url, BITTENSOR_NETUID: String(NETUID) },
    ...(role === 'miner' ? { BITTENSOR_MINER_ADDRESS: localnet.address, EXECUTOR_CLASS: 'always_on.test' } : {}),
  }
  await writeSettings(server, role, settings)

  const compose = (args: string) =>
    server.sh(
      `cd /root/checkout && export CA_CERTIFICATE="$(cat ${CERTIFICATES}/*.crt)" && ` +
        `${COMPOSE[version]} -f docker/compose.${role}.yml ${args}`,
    )
  await compose('up -d')
  const container = (await compose(`ps -q ${role}`)).split('\n').at(-1)
  await server.waitUntil(
    `docker inspect --format '{{.State.Health.Status}}' ${container} | grep -qx healthy`,
    HEALTHY_MS,
  )
  const images = (await server.sh("docker images --format '{{.Repository}}:{{.Tag}}'")).split('\n')
  expect(images).toEqual(
    expect.arrayContaining([
      `compute-horde/${role}:dev`,
      ...(role === 'miner' ? ['compute-horde/executor:dev'] : []),
      'postgres:15',
    ]),
  )
  const check = await compose(`exec -T ${role} node packages/${role}/src/main.ts check || true`)
  expect(check).toContain(`ok   hotkey: ${localnet[role].hotkey}`)
})

/**
 * Copies the files of the checkout that git tracks to the server, and this machine's added certificates, which a build
 * needs behind a proxy.
 */
async function copyCheckout(server: TestServer): Promise<void> {
  const unpack = `docker exec -i ${server.container} sh -c 'mkdir /root/checkout && tar -x -C /root/checkout'`
  const pack = `git ls-files -z | tar -c --null --verbatim-files-from --files-from - | ${unpack}`
  await run('bash', ['-c', `set -o pipefail; ${pack}`], { cwd: CHECKOUT })
  for (const name of await readdir(CERTIFICATES).catch(() => [])) {
    await server.writeFile(`${CERTIFICATES}/${name}`, await readFile(join(CERTIFICATES, name), 'utf8'))
  }
}

/** Installs Compose v2 on the server, from the image of tools. */
async function installComposePlugin(server: TestServer): Promise<void> {
  const print = `docker run --rm ${TOOLS_IMAGE} cat /opt/compose-v2/usr/libexec/docker/cli-plugins/docker-compose`
  const install = `install -D -m 755 /dev/stdin ${PLUGIN}`
  await run('bash', ['-c', `set -o pipefail; ${print} | docker exec -i ${server.container} ${install}`])
}

/** Copies a role's hotkey to the server, readable by the user that the role runs as. */
async function copyWallet(server: TestServer, role: 'miner' | 'validator'): Promise<void> {
  const { WALLET_FOLDER = '' } = localnet.settingsOf(localnet[role])
  const file = join(localnet[role].name, 'hotkeys/default')
  await server.writeFile(join('/root/wallets', file), await readFile(join(WALLET_FOLDER, file), 'utf8'), '600')
  await server.sh('chown -R 1000:1000 /root/wallets && chmod 711 /root')
}

/** Writes docker/.env from the role's example with these settings. Fails if the example lacks one of them. */
async function writeSettings(
  server: TestServer,
  role: string,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const edits = Object.entries(settings).map(([name, value]) => `-e 's|^#*${name}=.*|${name}=${value}|'`)
  await server.sh(`cd /root/checkout/docker && sed ${edits.join(' ')} ${role}.env.example >.env`)
  for (const name of Object.keys(settings)) await server.sh(`grep -q '^${name}=.' /root/checkout/docker/.env`)
}
