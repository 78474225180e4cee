/**
 * Python executors of 2026 under this project's miner: a small program stands for theirs. It is started as a miner of
 * 2026 starts one, and says the recorded frames.
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { connectValidator2026, offer2026, signed2026, work2026 } from '@horde/testing/peers/v2026/validator'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bridgeAddress } from '../../src/horde/docker.ts'
import { openManager } from '../../src/horde/open-manager.ts'
import type { PoolSettings } from '../../src/horde/pools/pool-settings.ts'
import { startChain } from '../harness.ts'
import { type Started, startMiner2026 } from './started.ts'

const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url))
const FOLDER = fileURLToPath(new URL('../fixtures/python-executor', import.meta.url))
const SOCKET = '/var/run/docker.sock'
const IMAGE = `compute-horde/python-executor-${randomUUID()}:v1-latest`
const owner = `test-${randomUUID()}`
const ARGUMENTS = ['manage.py', 'run_executor', '--startup-time-limit', '300']
const PATH = process.env.PATH ?? ''

const docker = async (...args: string[]) => (await promisify(execFile)('docker', args)).stdout.trim()

let network: Awaited<ReturnType<typeof startChain>>
beforeAll(async () => {
  network = await startChain()
  await docker('build', '--quiet', '--tag', IMAGE, '--file', `${FOLDER}/Dockerfile`, FIXTURES)
})
afterAll(async () => {
  await network[Symbol.asyncDispose]()
  await docker('rmi', IMAGE)
})

/** Starts a miner whose executors are Python's, by either manager. */
async function start(manager: 'docker' | 'process'): Promise<Started> {
  const options = {
    ...{ owner, processEnvironment: { PATH }, network: undefined, pullImage: false, startupSeconds: 300 },
    ...{ stopWithinMs: 1_000, clock: systemClock, log: silentLog },
  }
  const env = {
    ...{ EXECUTOR_MANAGER: manager, EXECUTOR_IMAGE: IMAGE, EXECUTOR_FOLDER: FOLDER, EXECUTOR_PROGRAM: 'python-2026' },
    ...{ EXECUTOR_COUNT: '1', HF_ACCESS_TOKEN: 'hf', DEBUG_NO_GPU_MODE: 'true', PORT_FOR_EXECUTORS: '0' },
  }
  const addressForExecutors = manager === 'docker' ? await bridgeAddress(SOCKET) : '127.0.0.1'
  return startMiner2026(
    { openManager: (pool: PoolSettings) => openManager(pool, options), addressForExecutors, env },
    network,
  )
}

type Frames = { message_type: string; [field: string]: unknown }[]

/** Has a job of one of the recordings done, and returns what its validator hears until the end. */
async function play(started: Started, scenario: string): Promise<{ uuid: string; heard: Frames }> {
  await using validator = await connectValidator2026(started.miner)
  const uuid = randomUUID()
  const heard: Frames = []
  await validator.send(signed2026(offer2026(uuid, { changes: { docker_image: `scenario:${scenario}` } })))
  while (!heard.some(({ message_type }) => /V0(Job|Horde)F/.test(message_type))) {
    const { message_type, ...fields } = await validator.next()
    heard.push({ message_type, ...fields })
    if (message_type === 'V0ExecutorReadyRequest') await validator.send(signed2026(work2026(uuid)))
  }
  return { uuid, heard }
}

/** Returns how the executor of a job says that it was started, and removes what it wrote. */
async function startOf(started: Started, uuid: string) {
  const { jobs } = await import('../../src/db/schema.ts')
  const [row] = (await started.miner.db.select().from(jobs)).filter(each => each.uuid === uuid)
  const file = `/tmp/${row?.executorToken}.json`
  const written = JSON.parse(await readFile(file, 'utf8'))
  // A container's user may own it.
  await rm(file).catch(() => docker('run', '--rm', '--volume', '/tmp:/tmp', IMAGE, 'rm', file))
  return { token: row?.executorToken, ...written }
}

it.each(['docker', 'process'] as const)(
  'starts one by the manager %s as its own miner does, and runs its job',
  async manager => {
    await using started = await start(manager)
    const { uuid, heard } = await play(started, 'good job with volumes, uploads, artifacts')
    expect(heard.map(({ message_type }) => message_type)).toEqual([
      'V0AcceptJobRequest',
      'V0ExecutorReadyRequest',
      'V0VolumesReadyRequest',
      'V0ExecutionDoneRequest',
      'V0JobFinishedRequest',
    ])
    expect(heard.at(-1)).toMatchObject({
      docker_process_stdout: 'out\n',
      artifacts: { '/artifacts/r.txt': 'aGVsbG8=' },
    })
    const { token, argv, folder, environment } = await startOf(started, uuid)
    expect(argv).toEqual(ARGUMENTS)
    expect(folder).toBe(manager === 'docker' ? '/root/src' : FOLDER)
    expect(environment).toMatchObject({
      MINER_ADDRESS: expect.stringMatching(/^ws:\/\/[\d.]+:\d+$/),
      EXECUTOR_TOKEN: token,
      HF_ACCESS_TOKEN: 'hf',
      DEBUG_NO_GPU_MODE: '1',
    })
  },
)

it.each(['exit status 3', 'download fails (404)', 'upload file missing'])('passes on its words: %s', async scenario => {
  await using started = await start('process')
  const { uuid, heard } = await play(started, scenario)
  await startOf(started, uuid)
  const file = `${FIXTURES}/v2026/trace-python-miner-and-executor.json`
  const { traces } = JSON.parse(await readFile(file, 'utf8')) as { traces: Record<string, [number, string, string][]> }
  const [, , recorded = ''] = traces[scenario]?.findLast(([, what]) => what === 'E>M') ?? []
  expect(heard.at(-1)).toEqual({ ...JSON.parse(recorded), job_uuid: uuid })
})

it('removes the containers of a job whose executor it kills', async () => {
  await using started = await start('docker')
  await using validator = await connectValidator2026(started.miner)
  const uuid = randomUUID()
  const changes = { docker_image: 'scenario:good job with volumes, uploads, artifacts' }
  await validator.send(signed2026(offer2026(uuid, { changes })))
  while ((await validator.next()).message_type !== 'V0ExecutorReadyRequest') {}
  const { token } = await startOf(started, uuid)
  const name = `ch-${token}-job`
  await docker('run', '--detach', '--name', name, 'compute-horde/python:3.11', 'sleep', 'infinity')
  await started[Symbol.asyncDispose]()
  expect(await docker('ps', '--all', '--quiet', '--filter', `name=${name}`)).toBe('')
  expect(await docker('ps', '--all', '--quiet', '--filter', `label=compute-horde.miner=${owner}`)).toBe('')
})
