/** Restarts the engine under both roles, as an update of Docker or a reboot of the server does. */
import { freePort } from '@horde/testing/port'
import { PrivateEngine } from '@horde/testing/private-engine'
import { expect, it } from 'vitest'
import { startChainAndWallets } from './chain-and-wallets.ts'
import { ComposeProject } from './compose-project.ts'
import { buildImages, buildToolImages, checkoutVersion, POSTGRES_IMAGE, PREFIX } from './images.ts'

const ECHO_IMAGE = 'compute-horde/echo:v0'
/** How long the miner may take to announce its address on the chain. */
const ANNOUNCED = { timeout: 120_000, interval: 1_000 }

it('both roles recover after a restart of the engine and keep their jobs and weights', async () => {
  await buildImages('executor', 'miner', 'validator', 'postgres')
  await buildToolImages()
  await using engine = await PrivateEngine.start({ isLinked: true })
  const version = await checkoutVersion()
  const roles = ['executor', 'miner', 'validator'].map(role => `${PREFIX}/${role}:${version}`)
  await engine.load(...roles, POSTGRES_IMAGE, ECHO_IMAGE)
  const link = await engine.network.link()
  await using localnet = await startChainAndWallets(link.machine)
  const images = { IMAGE_PREFIX: PREFIX, COMPUTE_HORDE_VERSION: version, POSTGRES_IMAGE }
  const data = engine.socket.replace(/docker\.sock$/, 'data')
  const shared = { compose: 'v2', socket: engine.socket } as const
  await using miner = await ComposeProject.create({
    ...{ ...shared, role: 'miner' },
    settings: {
      ...{
        ...images,
        ...localnet.settingsOf(localnet.miner),
        DOCKER_SOCKET: engine.socket,
        DOCKER_DATA_FOLDER: data,
      },
      ...{ PUBLIC_ADDRESS: link.there, PUBLIC_PORT: String(await freePort()), BITTENSOR_MINER_ADDRESS: link.there },
      ...{ EXECUTOR_CLASS: 'always_on.test', VALIDATORS_REFRESH_SECONDS: '2', ANNOUNCE_SECONDS: '2' },
    },
  })
  await using validator = await ComposeProject.create({
    ...{ ...shared, role: 'validator' },
    settings: {
      ...{ ...images, ...localnet.settingsOf(localnet.validator), ALLOW_PRIVATE_MINERS: 'true', BENCHMARK: 'echo' },
    },
  })
  await validator.compose('up', '--detach')
  await validator.waitUntilHealthy('validator')
  await miner.compose('up', '--detach')
  await miner.waitUntilHealthy('miner')
  await expect.poll(() => miner.logs(), ANNOUNCED).toContain('address announced on the chain')
  await validator.runCommand('batch', '--json')
  const jobs = await miner.runCommand('jobs', '--json')
  const weights = await validator.sql('select * from weight_settings order by 1')
  expect(JSON.parse(jobs).jobs).toMatchObject([{ state: 'finished' }])

  await engine.restart()
  await Promise.all([miner.waitUntilHealthy('miner'), validator.waitUntilHealthy('validator')])
  expect(await miner.runCommand('jobs', '--json')).toBe(jobs)
  // The validator may have set weights again since.
  expect((await validator.sql('select * from weight_settings order by 1')).slice(0, weights.length)).toBe(weights)
  const batch = JSON.parse((await validator.runCommand('batch', '--json')).split('\n').at(-1) ?? '')
  expect(batch).toMatchObject({ jobs: [{ state: 'finished', answer: true }] })
})
