/** What may happen to an executor that prepared ahead, in the hours until its offer; its job must not suffer for it. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { EXECUTOR_LABEL } from '@horde/protocol/executor-labels'
import { expectNothingLeft, PYTHON } from '@horde/testing/jobs/executor-job'
import { UploadServer } from '@horde/testing/peers/http-target'
import { hear, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { PrivateEngine } from '@horde/testing/private-engine'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Labelled } from '../src/engine/container.ts'
import { FOLDER_PREFIX } from '../src/engine/leftovers.ts'
import { CountingEngine } from './counting-engine.ts'
import { engine } from './engine.ts'
import { expectWhole, ready, type Warm, warmed, warming, wholeJob } from './warm.ts'

const NOT_PREPARED = 'could not prepare ahead of the offer; it is tried again'

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

/** Runs a whole job on an executor, with everything that it made ahead or anew. */
async function expectGoodJob(warm: Warm): Promise<void> {
  const wanted = await wholeJob(uploads)
  await ready(warm, wanted)
  await warm.connection.say(wanted.work)
  await expectWhole(warm, uploads)
  await expectNothingLeft(wanted, warm.executor)
}

/** The container that an executor has made ahead. */
async function holderOf({ executor }: Warm): Promise<Labelled> {
  const all = await engine.containersWith(EXECUTOR_LABEL)
  const own = all.find(({ labels }) => labels[EXECUTOR_LABEL]?.includes(`/${executor.process.pid}/`))
  if (own === undefined) throw new Error('the executor has made no container')
  return own
}

async function removeAll(warm: Warm): Promise<void> {
  const { id, labels } = await holderOf(warm)
  await engine.removeContainer(id)
  const volumes = await engine.volumesWith(`${EXECUTOR_LABEL}=${labels[EXECUTOR_LABEL]}`)
  expect(volumes).toHaveLength(4)
  for (const volume of volumes) await engine.removeVolume(volume.id)
}

async function removeFolder({ executor }: Warm): Promise<void> {
  const names = (await readdir(tmpdir())).filter(name => name.startsWith(FOLDER_PREFIX))
  const own = names.filter(name => name.includes(`-${executor.process.pid}-`))
  expect(own).toHaveLength(1)
  for (const name of own) await rm(join(tmpdir(), name), { recursive: true })
}

const docker = (...args: string[]) => promisify(execFile)('docker', args)

describe('a job is whole when, while its executor waited,', () => {
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
    expect(warm.executor.log.includes('it is made anew')).toBe(what !== 'nothing happened')
  })

  describe('the engine was restarted, which', () => {
    let own: PrivateEngine
    beforeAll(async () => {
      own = await PrivateEngine.start()
      await own.load(PYTHON)
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

  test('the engine came only then', async () => {
    await using own = new CountingEngine(folder)
    const warm = await warming(miner, { DOCKER_HOST: own.dockerHost })
    await expect.poll(() => warm.executor.log).toContain(NOT_PREPARED)
    await own.listen()
    await expectGoodJob(warm)
  })

  test('what is known of the host was forgotten, or is never to be remembered', async () => {
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

test('an engine that is still away at the offer is answered as ever', async () => {
  const DOCKER_HOST = new CountingEngine(folder).dockerHost
  const { executor, connection } = await warming(miner, { DOCKER_HOST })
  await expect.poll(() => executor.log).toContain(NOT_PREPARED)
  await connection.say((await wholeJob(uploads)).offer)
  await hear(connection, 'V0FailedToPrepare')
  expect(await executor.exit()).toBe(0)
})
