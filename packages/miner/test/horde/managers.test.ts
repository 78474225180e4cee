import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { connectValidator } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { bridgeAddress, dockerManager } from '../../src/horde/docker.ts'
import type { ExecutorManager } from '../../src/horde/manager.ts'
import { loadManager, ManagerModuleError } from '../../src/horde/open-manager.ts'
import { processManager } from '../../src/horde/process/process-manager.ts'
import { capturedLog } from '../captured-log.ts'
import { startChain, startTestMiner, temporaryFolder } from '../harness.ts'
import { scriptJob, untilReady } from '../script-job.ts'

const run = promisify(execFile)
const docker = async (...args: string[]) => (await run('docker', args)).stdout.trim()
const containersLabelled = async (label: string) => docker('ps', '-aq', '--filter', `label=${label}`)

/** Unique, since other tests run miners of the same hotkey on this machine. */
const owner = `managers test ${randomUUID()}`
/** The home folder of processes, so that executors do not write into a developer's. */
let home: string
const processes = () => {
  const environment = { PATH: process.env.PATH ?? '', HOME: home }
  return Promise.resolve(processManager({ owner, environment, stopWithinMs: 10_000, clock: systemClock }))
}
const containers = () =>
  dockerManager({
    image: 'compute-horde/executor:v0',
    pullImage: false,
    engine: { socket: '/var/run/docker.sock' },
    owner,
    stopWithinMs: 10_000,
    clock: systemClock,
    log: silentLog,
  })

let stack: AsyncDisposableStack
let network: Awaited<ReturnType<typeof startChain>>
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  network = stack.use(await startChain())
  home = stack.use(await temporaryFolder()).path
})
afterAll(() => stack.disposeAsync())

async function startWith(
  manager: ExecutorManager,
  env: Record<string, string>,
  addressForExecutors = '127.0.0.1',
  log = silentLog,
) {
  const { chain, url: chainUrl } = network
  const settings = { EXECUTOR_CLASS: 'always_on.test', ...env }
  return startTestMiner({ chain, chainUrl, manager, addressForExecutors, env: settings, log })
}

describe.each([
  ['process', processes, () => Promise.resolve('127.0.0.1')],
  ['docker', containers, () => bridgeAddress('/var/run/docker.sock')],
])('executors by %s', (_name, open, address) => {
  const env = { PORT_FOR_EXECUTORS: '0', PYTHON_IMAGE: 'compute-horde/python:3.11' }

  it('run a real job, and leave nothing behind', async () => {
    await using miner = await startWith(await open(), env, await address())
    await using validator = await connectValidator(miner)
    const job = scriptJob('print(6 * 7)')
    await untilReady(validator, job)
    expect(await validator.next()).toMatchObject({
      message_type: 'V0JobFinishedRequest',
      job_uuid: job.work.job_uuid,
      docker_process_stdout: '42\n',
    })
    await expect.poll(() => containersLabelled(`compute-horde.job=${job.work.job_uuid}`)).toBe('')
    await expect.poll(() => containersLabelled(`compute-horde.miner=${owner}`)).toBe('')
  })

  it('get their images in the background after the start', async () => {
    const { log, lines } = capturedLog()
    const images = { PRELOAD_IMAGES: 'compute-horde/echo:v0,compute-horde/python:3.11', IMAGE_PULL_POLICY: 'never' }
    await using _ = await startWith(await open(), { ...env, ...images }, await address(), log)
    await expect.poll(() => lines.map(({ msg }) => msg)).toContain('images preloaded')
    await expect.poll(() => containersLabelled(`compute-horde.miner=${owner}`)).toBe('')
  })

  it('go on without images that cannot be pulled, and the miner logs so', async () => {
    const { log, lines } = capturedLog()
    const images = { PRELOAD_IMAGES: '127.0.0.1:1/none:1' }
    await using _ = await startWith(await open(), { ...env, ...images }, await address(), log)
    const warning = () => lines.find(({ level }) => level === 'warn')
    await expect.poll(warning).toMatchObject({
      msg: 'not all images could be preloaded',
      how: 'exit code 1',
    })
  })

  it('are stopped in the middle of a job when the miner stops, and their validators get the failure', async () => {
    const miner = await startWith(await open(), env, await address())
    await using validator = await connectValidator(miner)
    const job = scriptJob('import time; time.sleep(1000)', 2000)
    await untilReady(validator, job)
    const running = () => containersLabelled(`compute-horde.job=${job.work.job_uuid}`)
    await expect.poll(running).not.toBe('')
    const received = validator.nextUntilClosed()
    await miner[Symbol.asyncDispose]()
    expect(await received).toMatchObject([{ message_type: 'V0JobFailedRequest', docker_process_exit_status: null }])
    expect(await running()).toBe('')
    expect(await containersLabelled(`compute-horde.miner=${owner}`)).toBe('')
  })
})

it('serves executors only on their own port when there is one', async () => {
  await using miner = await startWith(await processes(), { PORT_FOR_EXECUTORS: '0' })
  await expect(fetch(`http://127.0.0.1:${miner.port}/`)).resolves.toMatchObject({ status: 404 })
  const url = `ws://127.0.0.1:${miner.port}/v0.1/executor_interface/${randomUUID()}-${randomUUID()}`
  const opened = new Promise<string>(resolve => {
    const socket = new WebSocket(url)
    socket.addEventListener('open', () => resolve('open'))
    socket.addEventListener('error', () => resolve('refused'))
  })
  expect(await opened).toBe('refused')
})

describe("an operator's own manager module", () => {
  const fixture = fileURLToPath(new URL('../fixtures/operator-manager.mjs', import.meta.url))

  it('starts an executor, reports its exit, and stops it', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'manager.mjs')
    await cp(fixture, path)
    vi.stubEnv('EXECUTOR_MAIN_FOR_TEST', fileURLToPath(new URL('../../../executor/src/start.js', import.meta.url)))
    onTestFinished(() => void vi.unstubAllEnvs())
    const manager = await loadManager(path, { log: silentLog })
    await using miner = await startWith(manager, {
      PYTHON_IMAGE: 'compute-horde/python:3.11',
      STATE_FOLDER: folder.path,
    })
    await using validator = await connectValidator(miner)
    await untilReady(validator, scriptJob('print("mine")'))
    expect(await validator.next()).toMatchObject({ docker_process_stdout: 'mine\n' })
  })

  it.each([
    ['is missing', undefined, /cannot be loaded/],
    ['exports something else', 'export const x = 1', /does not export a function createExecutorManager/],
    ['makes nothing', 'export const createExecutorManager = () => ({})', /returned nothing with a start function/],
  ])('is refused with its path when it %s', async (_name, text, words) => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'manager.mjs')
    if (text !== undefined) await writeFile(path, text)
    const loading = loadManager(path, { log: silentLog })
    await expect(loading).rejects.toBeInstanceOf(ManagerModuleError)
    await expect(loading).rejects.toThrow(words)
    await expect(loading).rejects.toThrow(path)
  })
})
