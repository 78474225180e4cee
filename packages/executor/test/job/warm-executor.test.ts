/** An executor that prepares ahead of its offer, and what happens to its things. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'
import { expectNothingLeft, leftBy } from '@horde/testing/jobs/executor-job'
import { TestWeb, UploadServer } from '@horde/testing/peers/http-target'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { RawMiner } from '@horde/testing/peers/raw-miner'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JOB_LABEL, NO_JOB_YET } from '../../src/workspace/identity.ts'
import { untilRunning } from '../container/running.ts'
import { engine } from '../engine.ts'
import { Conversation } from '../miner/conversation.ts'
import { expectWhole, ready, type Warm, warmed, warming, wholeJob } from './warm.ts'

const LIST_LOADED = fileURLToPath(new URL('../list-loaded.mjs', import.meta.url))

const docker = (...args: string[]) => promisify(execFile)('docker', args)

let miner: TestMiner
let uploads: UploadServer
beforeAll(async () => {
  miner = await TestMiner.start()
  uploads = await UploadServer.start()
})
afterAll(async () => {
  await miner[Symbol.asyncDispose]()
  await uploads[Symbol.asyncDispose]()
})

test('runs a job whose container is labelled with its uuid, and leaves nothing', async () => {
  const [warm, wanted] = [await warmed(miner), await wholeJob(uploads, true)]
  await ready(warm, wanted)
  await warm.connection.send(wanted.work)
  const id = await untilRunning(wanted)
  const all = await engine.containers.withLabel(EXECUTOR_LABEL)
  const own = all.find(container => container.id === id)?.labels[EXECUTOR_LABEL]
  const jobs = all.filter(({ labels }) => labels[EXECUTOR_LABEL] === own).map(({ labels }) => labels[JOB_LABEL])
  expect(jobs.sort()).toEqual([wanted.job_uuid, NO_JOB_YET].sort())
  await docker('exec', '--detach', id, 'touch', '/tmp/go')
  await expectWhole(warm, uploads)
  await expectNothingLeft(wanted, warm.executor)
})

test('prepares at the offer when nothing was prepared ahead', async () => {
  const [warm, wanted] = [await warming(miner), await wholeJob(uploads)]
  await ready(warm, wanted)
  await warm.connection.send(wanted.work)
  await expectWhole(warm, uploads)
  await expectNothingLeft(wanted, warm.executor)
})

test('answers messages out of order and dials again like any executor', async () => {
  await using raw = await RawMiner.start()
  const conversation = await Conversation.begin(raw, miner, null, { PREPARE_AHEAD: 'true' })
  const objected = (details: string) => expect.objectContaining({ message_type: 'GenericError', details })
  await expect.poll(() => conversation.executor.log).toContain('prepared ahead of the offer')
  conversation.connection.send(conversation.wanted.work)
  expect(await conversation.connection.receive()).toEqual(objected('no job was prepared here'))
  await conversation.reconnect()
  await conversation.prepare()
  conversation.offer()
  expect(await conversation.connection.receive()).toEqual(objected('a job was already prepared here'))
  await conversation.finish()
})

describe('leaves nothing', () => {
  const gone = async ({ executor }: Warm, code: number) => {
    expect(await executor.exit()).toBe(code)
    expect(await leftBy(executor)).toEqual([])
  }

  test('when it is stopped', async () => {
    const warm = await warmed(miner)
    expect(await leftBy(warm.executor)).not.toEqual([])
    warm.executor.process.kill('SIGTERM')
    await gone(warm, 1)
  })

  test('when it is stopped while it prepares', async () => {
    const warm = await warming(miner)
    await expect.poll(() => leftBy(warm.executor), { interval: 1 }).not.toEqual([])
    warm.executor.process.kill('SIGTERM')
    await gone(warm, 1)
  })

  test('when its miner dismisses it', async () => {
    const warm = await warmed(miner)
    await warm.connection.close(1000)
    await gone(warm, 0)
  })

  test('when its miner refuses its token', async () => {
    const warm = await warming(miner)
    await warm.connection.send({ message_type: 'GenericError', details: 'unknown token' })
    await warm.connection.close(1000)
    await gone(warm, 1)
  })

  test('when its miner is gone for good', async () => {
    await using another = await TestMiner.start()
    const warm = await warmed(another, { RECONNECT_ATTEMPTS: '2', RECONNECT_DELAY_SECONDS: '0.01' })
    await another.vanish()
    await gone(warm, 1)
  })

  test('and loads nothing for jobs when it is never connected', async () => {
    await using server = await TestWeb.start((_, response) => void response.writeHead(401).end())
    const env = { MINER_ADDRESS: `ws://127.0.0.1:${server.port}`, NODE_OPTIONS: `--import=${LIST_LOADED}` }
    const executor = miner.spawn({ PREPARE_AHEAD: 'true', ...env })
    expect(await executor.exit()).toBe(1)
    expect(executor.log).toMatch(/^loaded (?!.*dockerode)/m)
    expect(await leftBy(executor)).toEqual([])
  })

  test('when it is killed, after the next executor has removed its things', async () => {
    const killed = await warmed(miner)
    const other = await warmed(miner)
    // Once it has ended, any executor of this host may remove its things, also one of another test.
    expect(await leftBy(killed.executor)).not.toEqual([])
    await killed.executor.kill()
    await warmed(miner)
    await expect.poll(() => leftBy(killed.executor)).toEqual([])
    const wanted = await wholeJob(uploads)
    await ready(other, wanted)
    await other.connection.send(wanted.work)
    await expectWhole(other, uploads)
  })
})
