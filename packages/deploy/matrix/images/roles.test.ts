/** Runs a validator and a miner from their compose files, with both versions of Compose. */
import { freePort } from '@horde/testing/port'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TestRegistry } from '../../src/testing/test-registry.ts'
import { startChainAndWallets } from './chain-and-wallets.ts'
import { checkDashboard } from './check-dashboard.ts'
import { COMPOSE_VERSIONS, ComposeProject } from './compose-project.ts'
import {
  buildImages,
  buildToolImages,
  checkoutVersion,
  docker,
  POSTGRES_IMAGE,
  PREFIX,
  PROMETHEUS_IMAGE,
} from './images.ts'

/** How long the miner may take to announce its address on the chain. */
const ANNOUNCED = { timeout: 120_000, interval: 1_000 }

let registry: TestRegistry
let images: Record<string, string> | undefined
beforeAll(async () => {
  await buildImages('executor', 'miner', 'validator', 'postgres')
  await buildToolImages()
  registry = await TestRegistry.start()
  images = {
    ...{ IMAGE_PREFIX: PREFIX, COMPUTE_HORDE_VERSION: await checkoutVersion(), PROMETHEUS_IMAGE },
    POSTGRES_IMAGE: await pinImage(await registry.push(POSTGRES_IMAGE, 'library/postgres:15')),
  }
})
afterAll(async () => {
  if (images?.POSTGRES_IMAGE) await docker('rmi', images.POSTGRES_IMAGE).catch(() => {})
  await registry?.[Symbol.asyncDispose]()
})

describe.each(COMPOSE_VERSIONS)('with Compose %s', compose => {
  it('runs a batch on a miner, sets weights on the chain, and keeps jobs and weights after down and up', async () => {
    // Each test has its own chain. On a shared one, the validator would begin with a batch on an earlier test's miner.
    await using localnet = await startChainAndWallets()
    const port = await freePort()
    await using miner = await ComposeProject.create({
      role: 'miner',
      compose,
      settings: {
        ...{ ...images, ...localnet.settingsOf(localnet.miner) },
        ...{ PUBLIC_ADDRESS: localnet.address, PUBLIC_PORT: String(port), BITTENSOR_MINER_ADDRESS: localnet.address },
        ...{ ADMIN_PORT: String(await freePort()), EXECUTOR_NETWORK: `test-executors-${port}` },
        ...{ EXECUTOR_CLASS: 'always_on.test', VALIDATORS_REFRESH_SECONDS: '2', ANNOUNCE_SECONDS: '2' },
      },
    })
    await using validator = await ComposeProject.create({
      role: 'validator',
      compose,
      settings: {
        ...{ ...images, ...localnet.settingsOf(localnet.validator), ADMIN_PORT: String(await freePort()) },
        ...{ ALLOW_PRIVATE_MINERS: 'true', BENCHMARK: 'echo' },
      },
    })
    // The validator starts first, so that a batch at its start is over before the miner exists.
    await validator.compose('up', '--detach')
    await validator.waitUntilHealthy('validator')
    await miner.compose('up', '--detach')
    await miner.waitUntilHealthy('miner')
    await expect.poll(() => miner.logs(), ANNOUNCED).toContain('address announced on the chain')
    expect(await docker('inspect', '--format', '{{.Config.User}}', await validator.containerId('validator'))).toBe(
      '1000:1000',
    )

    const batch = JSON.parse((await validator.runCommand('batch', '--json')).split('\n').at(-1) ?? '')
    expect(batch).toMatchObject({
      jobs: [{ miner: localnet.miner.hotkey, state: 'finished', answer: true }],
      weights: [{ uid: localnet.miner.uid, weight: 65_535 }],
      block: expect.any(Number),
    })

    await checkDashboard(miner, 'miner')
    await checkDashboard(validator, 'validator')

    // On a slow machine another batch may have begun.
    const finishedJobs = async () => {
      const { jobs } = JSON.parse(await miner.runCommand('jobs', '--json')) as { jobs: { state: string }[] }
      return jobs.filter(({ state }) => state === 'finished')
    }
    const jobs = await finishedJobs()
    const weights = await validator.sql('select * from weight_settings order by 1')
    expect(jobs).not.toHaveLength(0)
    expect(weights).not.toBe('')
    for (const project of [miner, validator]) {
      await project.compose('--profile', 'monitoring', 'down')
      expect(await project.containerId('postgres')).toBe('')
      await project.compose('up', '--detach')
    }
    await Promise.all([miner.waitUntilHealthy('miner'), validator.waitUntilHealthy('validator')])
    expect(await finishedJobs()).toEqual(expect.arrayContaining(jobs))
    // The validator may have set weights again since.
    expect((await validator.sql('select * from weight_settings order by 1')).slice(0, weights.length)).toBe(weights)
  })
})

/** Returns an image's name with its digest in the registry, as a server pins it. Removes the local copy. */
async function pinImage(name: string): Promise<string> {
  const [{ RepoDigests }] = JSON.parse(await docker('image', 'inspect', name)) as [{ RepoDigests: string[] }]
  const repository = name.slice(0, name.lastIndexOf(':'))
  const digest = RepoDigests.find(each => each.startsWith(`${repository}@`))?.slice(repository.length)
  if (digest === undefined) throw new Error(`${name} has no digest: ${RepoDigests.join(', ')}`)
  await docker('rmi', name)
  return `${name}${digest}`
}
