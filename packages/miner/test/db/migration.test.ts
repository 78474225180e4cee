/** A migrating miner takes no new jobs and loses no results. */
import { randomUUID } from 'node:crypto'
import { neuronOf } from '@horde/chain/metagraph'
import type { V0InitialJobRequest } from '@horde/protocol/v0/validator-miner'
import { connectValidator, minerKey, validatorKey } from '@horde/testing/peers/validator'
import { startPostgres } from '@horde/testing/postgres'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { insertJob } from '../../src/db/jobs.ts'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'
import { moveStored } from '../stored-jobs.ts'

let stack: AsyncDisposableStack
let network: Awaited<ReturnType<typeof startChain>>
let databaseUrl: string

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  network = stack.use(await startChain())
  databaseUrl = stack.use(await startPostgres()).url
})
afterAll(() => stack.disposeAsync())

const start = (env: Record<string, string>): Promise<TestMiner> => {
  const { chain, url: chainUrl } = network
  const base = { EXECUTOR_CLASS: 'always_on.test', ANNOUNCE_SECONDS: '1', VALIDATORS_REFRESH_SECONDS: '1' }
  return startTestMiner({ chain, chainUrl, databaseUrl, manager: new ScriptedManager(), env: { ...base, ...env } })
}

const axon = async () => neuronOf(await network.chain.metagraph(1), minerKey().ss58)?.axon

it('announces nothing, declines offers, delivers results, and says why it is not ready', async () => {
  await using miner = await start({ MIGRATING: 'true', EXTRA_VALIDATORS: validatorKey().ss58 })
  const uuid = randomUUID()
  const job = { validator: validatorKey().ss58, uuid, executorClass: 'always_on.test', imageName: null, place: null }
  const rest = { timeoutSeconds: 1, volumeType: 'inline', executorToken: randomUUID(), state: 'running' as const }
  const row = await insertJob(miner.db, { ...job, ...rest }, new Date())
  const result = { exitStatus: 0, stdout: 'of before', stderr: '' }
  await moveStored(miner.db, row?.id ?? 0, { to: 'finished', result }, new Date())

  await using validator = await connectValidator(miner)
  expect(await validator.next()).toMatchObject({
    message_type: 'V0JobFinishedRequest',
    docker_process_stdout: 'of before',
  })
  const offer: V0InitialJobRequest = {
    ...{ message_type: 'V0InitialJobRequest', job_uuid: randomUUID() as never, base_docker_image_name: null },
    ...{ timeout_seconds: 5, volume_type: 'inline', executor_class: 'always_on.test' },
  }
  await validator.send(offer)
  expect(await validator.next()).toEqual({ message_type: 'V0DeclineJobRequest', job_uuid: offer.job_uuid })
  expect(await miner.health()).toMatchObject({
    live: true,
    ready: false,
    bad: ['migrating'],
    reasons: ['The miner is migrating: it takes no new jobs. Jobs still open: 0.'],
  })
  const response = await fetch(`http://127.0.0.1:${miner.adminPort}/health`)
  expect([response.status, await response.json()]).toMatchObject([503, { live: true, ready: false }])
  expect(miner.announcement()).toMatchObject({ address: undefined, announcedAtBlock: undefined })
  expect(await axon()).toBeNull()
})

it('announces as usual when it is not migrating', async () => {
  await using miner = await start({})
  await expect.poll(axon).toMatchObject({ ip: '127.0.0.2', port: miner.port })
  await expect.poll(() => miner.announcement()).toMatchObject({ address: '127.0.0.2', how: expect.any(String) })
})
