/** What may be lost between preparing ahead and the offer, hours later. No job may fail because of it. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { FoundContainer } from '@horde/engine/containers'
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'
import { expectNothingLeft } from '@horde/testing/jobs/executor-job'
import { UploadServer } from '@horde/testing/peers/http-target'
import { receive, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { PrivateEngine } from '@horde/testing/private-engine'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { FOLDER_PREFIX } from '../../src/workspace/orphans.ts'
import { CountingEngine } from '../container/counting-engine.ts'
import { engine } from '../engine.ts'
import { expectWhole, ready, type Warm, warmed, warming, wholeJob } from './warm.ts'

const NOT_PREPARED = 'could not prepare ahead of the offer, trying again'

let folder: string
let miner: TestMiner
let uploads: UploadServer
beforeAll(async () => {
  uploads = await UploadServer.start()
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'warm-losses-'))
  miner = await TestMiner.start()
})
afterEach(async () => {
  await miner[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})
afterAll(() => uploads[Symbol.asyncDispose]())

/** Runs a whole job on an executor and expects it to succeed. */
async function expectGoodJob(warm: Warm): Promise<void> {
  const wanted = await wholeJob(uploads)
  await ready(warm, wanted)
  await warm.connection.send(wanted.work)
  await expectWhole(warm, uploads)
  await expectNothingLeft(wanted, warm.executor)
}

/** Returns the container that an executor has made ahead. */
async function holderOf({ executor }: Warm): Promise<FoundContainer> {
  const all = await engine.containers.withLabel(EXECUTOR_LABEL)
  const own = all.find(({ labels }) => labels[EXECUTOR_LABEL]?.includes(`/${executor.process.pid}/`))
  if (own === undefined) throw new Error('the executor has made no container')
  return own
}

async function removeAll(warm: Warm): Promise<void> {
  const { id, labels } = await holderOf(warm)
  await engine.containers.remove(id)
  const volumes = await engine.volumes.withLabel(`${EXECUTOR_LABEL}=${labels[EXECUTOR_LABEL]}`)
  expect(volumes).toHaveLength(4)
  for (const volume of volumes) await engine.volumes.remove(volume.name)
}

async function removeFolder({ executor }: Warm): Promise<void> {
  const names = (await readdir(tmpdir())).filter(name => name.startsWith(FOLDER_PREFIX))
  const own = names.filter(name => name.includes(`-${executor.process.pid}-`))
  expect(own).toHaveLength(1)
  for (const name of own) await rm(join(tmpdir(), name), { recursive: true })
}

const docker = (...args: string[]) => promisify(execFile)('docker', args)

describe('a job succeeds when, while its executor waited,', () => {
  test.each([
    ['nothing happened', async () => {}],
    ['its container and volumes were removed', removeAll],
    ['its container was stopped', async (warm: Warm) => docker('kill', (await holderOf(warm)).id)],
    ['its container was stopped and started', async (warm: Warm) => docker('restart', (await holderOf(warm)).id)],
    ['its folder was removed', removeFolder],
  ] as const)('%s', async (what, happens) => {
    const warm = await warmed(miner)
    await happens(warm)
    await expectGoodJob(warm)
    expect(warm.executor.log.includes('making it again')).toBe(what !== 'nothing happened')
  })

  describe('the engine was restarted, which', () => {
    let own: PrivateEngine
    beforeAll(async () => {
      own = await PrivateEngine.start({ hasImages: true })
    })
    afterAll(() => own?.[Symbol.asyncDispose]())

    test.each([
      ['stops its containers', {}],
      ['goes on with its containers', { 'live-restore': true }],
    ])('%s', async (_, settings) => {
      await own.restart(settings)
      const warm = await warmed(miner, { DOCKER_HOST: own.dockerHost })
      await own.restart()
      await expectGoodJob(warm)
      expect(await own.docker('ps', '--all', '--quiet')).toBe('')
      expect(await own.docker('volume', 'ls', '--quiet')).toBe('')
    })
  })

  test('the engine started', async () => {
    await using own = new CountingEngine(folder)
    const warm = await warming(miner, { DOCKER_HOST: own.dockerHost })
    await expect.poll(() => warm.executor.log).toContain(NOT_PREPARED)
    await own.listen()
    await expectGoodJob(warm)
  })

  test('the check of the host was lost, or must not be kept', async () => {
    await using own = await CountingEngine.start(folder)
    const DOCKER_HOST = own.dockerHost
    const forgetful = await warmed(miner, { DOCKER_HOST, HOST_CHECK_MAX_AGE_SECONDS: '0' })
    expect(own.questions).toBe(1)
    await expectGoodJob(forgetful)
    expect(own.questions).toBe(2)
    const other = await warmed(miner, { DOCKER_HOST })
    expect(own.questions).toBe(3)
    await rm(join(miner.stateFolder, 'host.json'))
    await expectGoodJob(other)
    expect(own.questions).toBe(3)
  })
})

test('answers V0FailedToPrepare when the engine is still away at the offer', async () => {
  const DOCKER_HOST = new CountingEngine(folder).dockerHost
  const { executor, connection } = await warming(miner, { DOCKER_HOST })
  await expect.poll(() => executor.log).toContain(NOT_PREPARED)
  await connection.send((await wholeJob(uploads)).offer)
  await receive(connection, 'V0FailedToPrepare')
  expect(await executor.exit()).toBe(0)
})
