/** Offers right behind the last result, in a pool of one, with real executors. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { connectValidator, type ValidatorPeer } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bridgeAddress, dockerManager } from '../../src/horde/docker.ts'
import type { ExecutorManager, StartedExecutor } from '../../src/horde/manager.ts'
import { processManager } from '../../src/horde/process/process-manager.ts'
import { startChain, startTestMiner, temporaryFolder } from '../harness.ts'
import { scriptJob } from '../script-job.ts'

/** How long an executor may take to leave when the next job waits for its slot, in milliseconds. */
const HURRIED_LEAVE_MS = 2_000

const docker = async (...args: string[]) => (await promisify(execFile)('docker', args)).stdout.trim()

const owner = `leaving test ${randomUUID()}`
const common = { owner, clock: systemClock }
/** How long executors may take to clean up when the miner is closed, in ms: those that never leave are killed then. */
const STOP_MS = 10_000
const STOP_STAYING_MS = 1_000
let home: string
let stack: AsyncDisposableStack
let network: Awaited<ReturnType<typeof startChain>>
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  network = stack.use(await startChain())
  home = stack.use(await temporaryFolder()).path
})
afterAll(() => stack.disposeAsync())

const NEVER_LEAVES = fileURLToPath(new URL('../fixtures/never-leaves.mjs', import.meta.url))
const engine = { socket: '/var/run/docker.sock' }

const processes = async (isStaying: boolean) => {
  const environment = { PATH: process.env.PATH ?? '', HOME: home }
  const staying = { main: NEVER_LEAVES, stopWithinMs: STOP_STAYING_MS }
  return processManager({ ...common, environment, stopWithinMs: STOP_MS, ...(isStaying && staying) })
}
const containers = () =>
  dockerManager({
    ...common,
    stopWithinMs: STOP_MS,
    image: 'compute-horde/executor:v0',
    pullImage: false,
    engine,
    log: silentLog,
  })

/** Keeps a container alive after its executor has left, by stopping its first process. */
async function keep({ id }: StartedExecutor): Promise<void> {
  const [kind, name = ''] = id.split(' ')
  if (kind === 'container') await docker('kill', '--signal', 'STOP', name)
}

/** Runs a job to its result, and `meanwhile` before its work is sent. Returns how soon its executor was ready. */
async function run(validator: ValidatorPeer, meanwhile = async () => {}) {
  const job = scriptJob('print(6 * 7)')
  const offeredAt = performance.now()
  await validator.send(job.offer)
  expect(await validator.next()).toMatchObject({ message_type: 'V0AcceptJobRequest' })
  expect(await validator.next()).toMatchObject({ message_type: 'V0ExecutorReadyRequest' })
  const readyMs = performance.now() - offeredAt
  await meanwhile()
  await validator.send(job.work)
  expect(await validator.next()).toMatchObject({ job_uuid: job.work.job_uuid, docker_process_stdout: '42\n' })
  return { readyMs, job }
}

describe.each([
  ['processes', processes, () => Promise.resolve('127.0.0.1')],
  ['containers', containers, () => bridgeAddress(engine.socket)],
])('with executors as %s', (_, open, address) => {
  async function start(isStaying: boolean) {
    const started: StartedExecutor[] = []
    const manager = await open(isStaying)
    const watched: ExecutorManager = {
      ...manager,
      start: async order => {
        const executor = await manager.start(order)
        started.push(executor)
        return executor
      },
    }
    const env = { EXECUTOR_CLASS: 'always_on.test', EXECUTOR_COUNT: '1', PORT_FOR_EXECUTORS: '0' }
    const miner = await startTestMiner({
      ...{ chain: network.chain, chainUrl: network.url, manager: watched, addressForExecutors: await address() },
      env: { ...env, PYTHON_IMAGE: 'compute-horde/python:3.11' },
    })
    return { miner, started }
  }

  it('accepts each offer, and runs its job', async () => {
    const { miner, started } = await start(false)
    await using _miner = miner
    await using validator = await connectValidator(miner)
    for (let count = 0; count < 4; count += 1) await run(validator)
    expect(started).toHaveLength(4)
  })

  it('delays the next job by about two seconds for an executor that never leaves, and removes it', async () => {
    const { miner, started } = await start(true)
    await using _miner = miner
    await using validator = await connectValidator(miner)
    const usual = await run(validator, async () => {
      if (started[0]) await keep(started[0])
    })
    const next = await run(validator)
    expect(await docker('ps', '-aq', '--filter', `label=compute-horde.job=${usual.job.work.job_uuid}`)).toBe('')
    expect(await started[0]?.exited).toMatch(/signal SIGKILL|exit code 137/)
    expect(next.readyMs).toBeGreaterThan(HURRIED_LEAVE_MS)
    // Two seconds, a kill, and a start like the first one, which takes about one.
    expect(next.readyMs).toBeLessThan(HURRIED_LEAVE_MS + 4 * usual.readyMs)
    // The second one does not leave either, and the closing miner would give it ten seconds.
    for (const executor of started) await executor.stop(0)
  })
})
