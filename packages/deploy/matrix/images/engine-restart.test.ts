/** The engine is restarted under both roles, as by an update of Docker or a reboot of the server: all comes back by itself. */
import { freePort } from '@horde/testing/port'
import { PrivateEngine } from '@horde/testing/private-engine'
import { expect, it } from 'vitest'
import { startChainAndWallets } from './chain-and-wallets.ts'
import { buildImages, buildTools, checkoutVersion, POSTGRES_IMAGE, PREFIX } from './images.ts'
import { RoleProject } from './role-project.ts'

const ECHO_IMAGE = 'compute-horde/echo:v0'
/** How long the miner's address may take to be on the chain, in milliseconds. */
const ANNOUNCED = { timeout: 120_000, interval: 1_000 }

it('both roles are healthy again and have their jobs and weights after a restart of the engine', async () => {
  await buildImages('executor', 'miner', 'validator', 'postgres')
  await buildTools()
  await using engine = await PrivateEngine.start({ isLinked: true })
  const version = await checkoutVersion()
  const roles = ['executor', 'miner', 'validator'].map(role => `${PREFIX}/${role}:${version}`)
  await engine.load(...roles, POSTGRES_IMAGE, ECHO_IMAGE)
  const link = await engine.network.link()
  await using world = await startChainAndWallets(link.machine)
  const images = { IMAGE_PREFIX: PREFIX, COMPUTE_HORDE_VERSION: version, POSTGRES_IMAGE }
  const data = engine.socket.replace(/docker\.sock$/, 'data')
  const shared = { compose: 'v2', socket: engine.socket } as const
  await using miner = await RoleProject.create({
    ...{ ...shared, role: 'miner' },
    environment: {
      ...{ ...images, ...world.environmentOf(world.miner), DOCKER_SOCKET: engine.socket, DOCKER_DATA_FOLDER: data },
      ...{ PUBLIC_ADDRESS: link.there, PUBLIC_PORT: String(await freePort()), BITTENSOR_MINER_ADDRESS: link.there },
      ...{ EXECUTOR_CLASS: 'always_on.test', VALIDATORS_REFRESH_SECONDS: '2', ANNOUNCE_SECONDS: '2' },
    },
  })
  await using validator = await RoleProject.create({
    ...{ ...shared, role: 'validator' },
    environment: {
      ...{ ...images, ...world.environmentOf(world.validator), ALLOW_PRIVATE_MINERS: 'true', BENCHMARK: 'echo' },
    },
  })
  await validator.compose('up', '--detach')
  await validator.isHealthy('validator')
  await miner.compose('up', '--detach')
  await miner.isHealthy('miner')
  await expect.poll(() => miner.logs(), ANNOUNCED).toContain('address announced on the chain')
  await validator.role('batch', '--json')
  const jobs = await miner.role('jobs', '--json')
  const weights = await validator.sql('select * from weight_settings order by 1')
  expect(JSON.parse(jobs).jobs).toMatchObject([{ state: 'finished' }])

  await engine.restart()
  await Promise.all([miner.isHealthy('miner'), validator.isHealthy('validator')])
  expect(await miner.role('jobs', '--json')).toBe(jobs)
  // Weights may have been set again since.
  expect((await validator.sql('select * from weight_settings order by 1')).slice(0, weights.length)).toBe(weights)
  const batch = JSON.parse((await validator.role('batch', '--json')).split('\n').at(-1) ?? '')
  expect(batch).toMatchObject({ jobs: [{ state: 'finished', answer: true }] })
})
