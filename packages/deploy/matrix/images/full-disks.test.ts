/** A role that runs from its compose file notices when the disk of the engine or of the database is full. */
import { freePort } from '@horde/testing/port'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type ChainAndWallets, startChainAndWallets } from './chain-and-wallets.ts'
import { ComposeProject } from './compose-project.ts'
import { BASE_IMAGE, buildImages, buildToolImages, checkoutVersion, docker, POSTGRES_IMAGE, PREFIX } from './images.ts'

/** How long the role may take to notice: its disk watch looks once a minute. */
const NOTICED_MS = 300_000
const RETRY_MS = 2_000
const DISK_MB = 400
const FILLED_MB = 250
const FULL_BYTES = 200_000_000

let localnet: ChainAndWallets
beforeAll(async () => {
  await buildImages('executor', 'miner', 'validator', 'postgres')
  await buildToolImages()
  localnet = await startChainAndWallets()
})
afterAll(() => localnet?.[Symbol.asyncDispose]())

it.each([
  ['validator', 'postgres', '/disks/database'],
  ['miner', 'engine-disk', 'images'],
  ['miner', 'postgres', '/disks/database'],
] as const)('a %s is not ready while the disk of the volume %s is full', async (role, volume, name) => {
  const port = String(await freePort())
  await using project = await ComposeProject.create({
    role,
    compose: 'v2',
    settings: {
      ...{ IMAGE_PREFIX: PREFIX, COMPUTE_HORDE_VERSION: await checkoutVersion(), POSTGRES_IMAGE },
      ...{ ...localnet.settingsOf(localnet[role]), ADMIN_PORT: String(await freePort()) },
      ...{ PUBLIC_ADDRESS: localnet.address, PUBLIC_PORT: port, BITTENSOR_MINER_ADDRESS: localnet.address },
      ...{ EXECUTOR_NETWORK: `test-executors-${port}`, EXECUTOR_CLASS: 'always_on.test' },
      ...{ DISK_LOW_BYTES: '0', DISK_FULL_BYTES: String(FULL_BYTES) },
    },
    // Replaces a part of the server's disk with a small disk in memory.
    override: JSON.stringify({
      volumes: { [volume]: { driver_opts: { type: 'tmpfs', device: 'tmpfs', o: `size=${DISK_MB}m` } } },
    }),
  })
  await project.compose('up', '--detach')
  await project.waitUntilHealthy(role)

  const onDisk = (command: string) =>
    docker('run', '--rm', '--volume', `${project.name}_${volume}:/disk`, BASE_IMAGE, 'sh', '-c', command)
  const health = async () => {
    const printed = docker('exec', await project.containerId(role), 'node', 'docker/image/health-check.js')
    return await printed.catch(({ stdout }: { stdout: string }) => stdout)
  }
  await onDisk(`head -c ${FILLED_MB}m /dev/zero >/disk/full`)
  const noticed = { timeout: NOTICED_MS, interval: RETRY_MS }
  await expect.poll(health, noticed).toMatch(new RegExp(`Disk: .* free \\(.*${name}.*\\)`))
  await onDisk('rm /disk/full')
  await expect.poll(health, noticed).toMatch(/"ready":true/)
})
