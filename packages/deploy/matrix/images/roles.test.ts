/** Validator and miner run from their compose files, by both versions of Compose. */

import { freePort } from '@horde/testing/port'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TestRegistry } from '../../src/testing/test-registry.ts'
import { startChainAndWallets } from './chain-and-wallets.ts'
import { checkDashboard } from './check-dashboard.ts'
import { buildImages, buildTools, checkoutVersion, docker, POSTGRES_IMAGE, PREFIX, PROMETHEUS_IMAGE } from './images.ts'
import { COMPOSE_VERSIONS, RoleProject } from './role-project.ts'

/** How long the miner's address may take to be on the chain, in milliseconds. */
const ANNOUNCED = { timeout: 120_000, interval: 1_000 }

let registry: TestRegistry
let images: Record<string, string> | undefined
beforeAll(async () => {
  await buildImages('executor', 'miner', 'validator', 'postgres')
  await buildTools()
  registry = await TestRegistry.start()
  images = {
    ...{ IMAGE_PREFIX: PREFIX, COMPUTE_HORDE_VERSION: await checkoutVersion(), PROMETHEUS_IMAGE },
    POSTGRES_IMAGE: await pinned(await registry.push(POSTGRES_IMAGE, 'library/postgres:15')),
  }
})
afterAll(async () => {
  if (images?.POSTGRES_IMAGE) await docker('rmi', images.POSTGRES_IMAGE).catch(() => {})
  await registry?.[Symbol.asyncDispose]()
})

describe.each(COMPOSE_VERSIONS)('by Compose %s', compose => {
  it('a batch runs on a miner, weights reach the chain, and down and up keep everything', async () => {
    // A chain of its own, which knows no miner of an earlier test: a validator would begin with a batch on that one.
    await using world = await startChainAndWallets()
    const port = await freePort()
    await using miner = await RoleProject.create({
      role: 'miner',
      compose,
      environment: {
        ...{ ...images, ...world.environmentOf(world.miner) },
        ...{ PUBLIC_ADDRESS: world.address, PUBLIC_PORT: String(port), BITTENSOR_MINER_ADDRESS: world.address },
        ...{ ADMIN_PORT: String(await freePort()), EXECUTOR_NETWORK: `test-executors-${port}` },
        ...{ EXECUTOR_CLASS: 'always_on.test', VALIDATORS_REFRESH_SECONDS: '2', ANNOUNCE_SECONDS: '2' },
      },
    })
    await using validator = await RoleProject.create({
      role: 'validator',
      compose,
      environment: {
        ...{ ...images, ...world.environmentOf(world.validator), ADMIN_PORT: String(await freePort()) },
        ...{ ALLOW_PRIVATE_MINERS: 'true', BENCHMARK: 'echo' },
      },
    })
    // The validator first: the batch that it may begin with is over before there is a miner.
    await validator.compose('up', '--detach')
    await validator.isHealthy('validator')
    await miner.compose('up', '--detach')
    await miner.isHealthy('miner')
    await expect.poll(() => miner.logs(), ANNOUNCED).toContain('address announced on the chain')
    expect(await docker('inspect', '--format', '{{.Config.User}}', await validator.container('validator'))).toBe(
      '1000:1000',
    )

    const batch = JSON.parse((await validator.role('batch', '--json')).split('\n').at(-1) ?? '')
    expect(batch).toMatchObject({
      jobs: [{ miner: world.miner.hotkey, state: 'finished', answer: true }],
      weights: [{ uid: world.miner.uid, weight: 65_535 }],
      block: expect.any(Number),
    })

    await checkDashboard(miner, 'miner')
    await checkDashboard(validator, 'validator')

    const jobs = await miner.role('jobs', '--json')
    const weights = await validator.sql('select * from weight_settings order by 1')
    expect(JSON.parse(jobs).jobs).toHaveLength(1)
    expect(weights).not.toBe('')
    for (const project of [miner, validator]) {
      await project.compose('--profile', 'monitoring', 'down')
      expect(await project.container('postgres')).toBe('')
      await project.compose('up', '--detach')
    }
    await Promise.all([miner.isHealthy('miner'), validator.isHealthy('validator')])
    expect(await miner.role('jobs', '--json')).toBe(jobs)
    // Weights may have been set again since.
    expect((await validator.sql('select * from weight_settings order by 1')).slice(0, weights.length)).toBe(weights)
  })
})

/** The name of an image that is in a registry with its digest, as a server pins it. Only the registry keeps it. */
async function pinned(name: string): Promise<string> {
  const [{ RepoDigests }] = JSON.parse(await docker('image', 'inspect', name)) as [{ RepoDigests: string[] }]
  const repository = name.slice(0, name.lastIndexOf(':'))
  const digest = RepoDigests.find(each => each.startsWith(`${repository}@`))?.slice(repository.length)
  if (digest === undefined) throw new Error(`${name} has no digest: ${RepoDigests.join(', ')}`)
  await docker('rmi', name)
  return `${name}${digest}`
}
