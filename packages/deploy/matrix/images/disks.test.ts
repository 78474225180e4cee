/** A role that runs from its compose file sees when the disks are full on which the engine and the database have their data. */
import { freePort } from '@horde/testing/port'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type ChainAndWallets, startChainAndWallets } from './chain-and-wallets.ts'
import { BASE_IMAGE, buildImages, buildTools, checkoutVersion, docker, POSTGRES_IMAGE, PREFIX } from './images.ts'
import { RoleProject } from './role-project.ts'

/** The disk watch looks once a minute; on a busy machine, in milliseconds. */
const SEEN_MS = 300_000
const LOOK_AGAIN_MS = 2_000
const DISK_MB = 400
const FILLED_MB = 250
const FULL_BYTES = 200_000_000

let world: ChainAndWallets
beforeAll(async () => {
  await buildImages('executor', 'miner', 'validator', 'postgres')
  await buildTools()
  world = await startChainAndWallets()
})
afterAll(() => world?.[Symbol.asyncDispose]())

it.each([
  ['validator', 'postgres', '/disks/database'],
  ['miner', 'engine-disk', 'images'],
  ['miner', 'postgres', '/disks/database'],
] as const)('a %s is not ready while the disk of %s is full', async (role, volume, name) => {
  const port = String(await freePort())
  await using project = await RoleProject.create({
    role,
    compose: 'v2',
    environment: {
      ...{ IMAGE_PREFIX: PREFIX, COMPUTE_HORDE_VERSION: await checkoutVersion(), POSTGRES_IMAGE },
      ...{ ...world.environmentOf(world[role]), ADMIN_PORT: String(await freePort()) },
      ...{ PUBLIC_ADDRESS: world.address, PUBLIC_PORT: port, BITTENSOR_MINER_ADDRESS: world.address },
      ...{ EXECUTOR_NETWORK: `test-executors-${port}`, EXECUTOR_CLASS: 'always_on.test' },
      ...{ DISK_LOW_BYTES: '0', DISK_FULL_BYTES: String(FULL_BYTES) },
    },
    // A small disk of its own, in memory, in the place of a part of the server's disk.
    override: JSON.stringify({
      volumes: { [volume]: { driver_opts: { type: 'tmpfs', device: 'tmpfs', o: `size=${DISK_MB}m` } } },
    }),
  })
  await project.compose('up', '--detach')
  await project.isHealthy(role)

  const onDisk = (command: string) =>
    docker('run', '--rm', '--volume', `${project.name}_${volume}:/disk`, BASE_IMAGE, 'sh', '-c', command)
  const reasons = async () => {
    const asked = docker('exec', await project.container(role), 'node', 'docker/image/health-check.js')
    return await asked.catch(({ stdout }: { stdout: string }) => stdout)
  }
  await onDisk(`head -c ${FILLED_MB}m /dev/zero >/disk/full`)
  const soon = { timeout: SEEN_MS, interval: LOOK_AGAIN_MS }
  await expect.poll(reasons, soon).toMatch(new RegExp(`Disk: .* free \\(.*${name}.*\\)`))
  await onDisk('rm /disk/full')
  await expect.poll(reasons, soon).toMatch(/"ready":true/)
})
