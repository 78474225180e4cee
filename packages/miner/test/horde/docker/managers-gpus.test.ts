/** Executors that share a host's GPUs, on an engine with a substitute for NVIDIA's hook. */

import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { LONG_MS } from '@horde/testing/limits'
import { connectValidator, minerKey } from '@horde/testing/peers/validator'
import { PrivateEngine } from '@horde/testing/private-engine'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { dockerManager } from '../../../src/horde/docker.ts'
import { startChain, startTestMiner } from '../../harness.ts'
import { scriptJob, untilReady } from '../../script-job.ts'

const PYTHON = 'compute-horde/python:3.11'
const EXECUTORS = 4
const GPU_CLASS = 'always_on.gpu-24gb'
const POOLS = `
pools:
  - name: gpus
    class: ${GPU_CLASS}
    count: ${EXECUTORS}
    gpus: [0, 1, 2, 3, 4, 5, 6, 7]
`
/** Notes which devices a container would be given. */
const HOOK = `#!/bin/sh
bundle=$(sed 's/.*"bundle":"\\([^"]*\\)".*/\\1/')
grep -o '"NVIDIA_VISIBLE_DEVICES=[^"]*"' "$bundle/config.json" | tail -1 >>"$GPU_LOG"
`

let stack: AsyncDisposableStack
let folder: string
let engine: PrivateEngine
let network: Awaited<ReturnType<typeof startChain>>
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  folder = await mkdtemp(join(tmpdir(), 'miner-gpus-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const hook = join(folder, 'nvidia-container-runtime-hook')
  await writeFile(hook, HOOK)
  await chmod(hook, 0o755)
  await writeFile(join(folder, 'pools.yml'), POOLS)
  const environment = { GPU_LOG: join(folder, 'log') }
  engine = stack.use(await PrivateEngine.start({ hasImages: true, programs: folder, environment, isLinked: true }))
  network = stack.use(await startChain())
})
afterAll(() => stack?.disposeAsync())

async function startMiner() {
  const { machine } = await engine.network.link()
  const manager = await dockerManager({
    image: 'compute-horde/executor:v0',
    pullImage: false,
    engine: { socket: engine.socket },
    owner: minerKey().ss58,
    stopWithinMs: 10_000,
    clock: systemClock,
    log: silentLog,
  })
  const images = { PYTHON_IMAGE: PYTHON, PYTHON_NVIDIA_IMAGE: PYTHON, IMAGE_PULL_POLICY: 'never' }
  // Ten seconds after its start the miner would close the pool, because this machine has no driver for GPUs.
  const insisted = { CLASS_MISMATCH: 'warn' }
  const env = { POOLS_FILE: join(folder, 'pools.yml'), PORT_FOR_EXECUTORS: '0', ...images, ...insisted }
  const { chain, url: chainUrl } = network
  return startTestMiner({ chain, chainUrl, manager, addressForExecutors: machine, env })
}

/** The devices that the engine is asked for, for each container of a job. */
async function devicesOf(jobUuid: string): Promise<unknown[]> {
  const ids = await engine.docker('ps', '--quiet', '--filter', `label=compute-horde.job=${jobUuid}`)
  const requests = '{{json .HostConfig.DeviceRequests}}'
  const output = await engine.docker('inspect', '--format', requests, ...ids.split('\n').filter(Boolean))
  const all = output.split('\n').flatMap(line => JSON.parse(line) ?? [])
  return all.map(({ DeviceIDs }) => DeviceIDs)
}

it('gives each of four executors two of eight GPUs, and their jobs just those', { timeout: LONG_MS }, async () => {
  await using miner = await startMiner()
  await using validator = await connectValidator(miner)
  const jobs = Array.from({ length: EXECUTORS }, () => scriptJob('import time; time.sleep(1000)', 2000))
  for (const job of jobs) {
    job.offer.executor_class = GPU_CLASS
    job.work.docker_run_options_preset = 'nvidia_all'
    await untilReady(validator, job)
  }
  const running = async () => (await Promise.all(jobs.map(({ work }) => devicesOf(work.job_uuid)))).flat()
  await expect.poll(running).toHaveLength(EXECUTORS)
  const pairs = [
    ['0', '1'],
    ['2', '3'],
    ['4', '5'],
    ['6', '7'],
  ]
  expect(await running()).toEqual(pairs)
  // Each executor asks for its own once before, to see whether the engine has them.
  const noted = (await readFile(join(folder, 'log'), 'utf8')).match(/(?<==)\d,\d(?=")/g)?.sort()
  expect(noted).toEqual(pairs.flatMap(pair => [pair.join(), pair.join()]))
  const watched = () => readFile(join(folder, 'log'), 'utf8')
  await expect.poll(watched, { message: 'the miner looks at all of them' }).toContain('=0,1,2,3,4,5,6,7"')
  const executors = await engine.docker('ps', '--quiet', '--filter', `label=compute-horde.miner=${minerKey().ss58}`)
  expect(executors.split('\n')).toHaveLength(EXECUTORS)
})
