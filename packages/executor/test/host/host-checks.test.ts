/** What an executor finds out about its host, and remembers. */

import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expectGoodEnd, job } from '@horde/testing/jobs/executor-job'
import { receive, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { PrivateEngine } from '@horde/testing/private-engine'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CountingEngine } from '../container/counting-engine.ts'

let folder: string
let miner: TestMiner
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'host-checks-'))
  miner = await TestMiner.start()
})
afterEach(async () => {
  await miner[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

/** Has an executor prepare a job, and leave it. Gives its log. */
async function prepared(env: Record<string, string>): Promise<string> {
  const executor = miner.spawn(env)
  const connection = await executor.connection()
  await connection.send((await job({})).offer)
  await receive(connection, 'V0ReadyRequest')
  executor.process.kill('SIGTERM')
  await executor.exit()
  return executor.log
}

test('checks a good host once, until something changes or the result is too old', async () => {
  await using engine = await CountingEngine.start(folder)
  const { dockerHost: DOCKER_HOST } = engine
  const memory = join(miner.stateFolder, 'host.json')
  const asked = async (env: Record<string, string> = {}) => {
    const before = engine.questions
    await prepared({ DOCKER_HOST, ...env })
    return engine.questions - before
  }
  expect(await asked()).toBe(1)
  expect(await asked()).toBe(0)
  expect(await asked({ KNOWN_ESCAPES: 'warn' })).toBe(1)
  expect(await asked({ KNOWN_ESCAPES: 'warn' })).toBe(0)
  expect(await asked()).toBe(0)
  expect(await asked({ HOST_CHECK_MAX_AGE_SECONDS: '0' })).toBe(1)

  const text = await readFile(memory, 'utf8')
  const moved = (ms: number) => text.replaceAll(/"at":(\d+)/g, (_, at) => `"at":${Number(at) + ms}`)
  for (const wrong of [moved(-3_600_000), moved(3_600_000), text.replace('"form":3', '"form":1'), '[']) {
    await writeFile(memory, wrong)
    expect(await asked()).toBe(1)
    expect(await asked()).toBe(0)
  }
  await writeFile(memory, text)
  await chmod(memory, 0o666)
  expect(await asked()).toBe(1)
})

test('an executor logs the limits in force for its job', async () => {
  const log = await prepared({ PIDS_LIMIT: '77', CPU_LIMIT: '0.5', MEMORY_LIMIT_BYTES: '2000000000' })
  const line = log.split('\n').find(each => each.includes('"limits in force for the job"'))
  expect(JSON.parse(line ?? '')).toMatchObject({
    level: 'info',
    runtime: 'runc',
    cgroups: expect.stringMatching(/^v[12]$/),
    seccomp: expect.stringMatching(/^(default|builtin)$/),
    userNamespaces: false,
    root: 'read-only',
    output: expect.stringMatching(/^in memory up to \d+$/),
    pids: 77,
    cpus: 0.5,
    memoryBytes: 2_000_000_000,
  })
})

test('names the runtimes of an engine that lacks the wanted one', async () => {
  const executor = miner.spawn({ RUNTIME: 'no-such-runtime' })
  const connection = await executor.connection()
  await connection.send((await job({})).offer)
  await receive(connection, 'V0FailedToPrepare')
  await expectGoodEnd(executor, connection)
  expect(executor.log).toMatch(/CheckError.*the engine has none named no-such-runtime.*runc/)
})

test('warns of an engine with another seccomp profile, and checks again after its restart', async () => {
  const profile = join(folder, 'profile.json')
  await writeFile(profile, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW' }))
  await using engine = await PrivateEngine.start({ settings: { 'seccomp-profile': profile } })
  await engine.load('compute-horde/echo:v0')
  const warning = new RegExp(`"level":"warn".*${profile}`)
  expect(await prepared({ DOCKER_HOST: engine.dockerHost })).toMatch(warning)
  expect(await prepared({ DOCKER_HOST: engine.dockerHost })).not.toMatch(warning)
  await engine.restart()
  expect(await prepared({ DOCKER_HOST: engine.dockerHost })).toMatch(warning)
})
