/** GPUs without a GPU: the engine runs any program with the name of NVIDIA's hook, and passes it the same input. */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expectGoodEnd, job, readied, resultOn } from '@horde/testing/jobs/executor-job'
import { receive, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { PrivateEngine } from '@horde/testing/private-engine'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ready, warmed, warming } from '../job/warm.ts'

const ECHO = 'compute-horde/echo:v0'
const FILES = { 'payload.txt': 'computed' }

/** Notes which devices a container asks for, and has the ids 0 to 3, as long as its driver works. */
const HOOK = `#!/bin/sh
bundle=$(sed 's/.*"bundle":"\\([^"]*\\)".*/\\1/')
devices=$(grep -o '"NVIDIA_VISIBLE_DEVICES=[^"]*"' "$bundle/config.json" | tail -1)
echo "$devices" >>"$GPU_LOG"
if [ -e "$GPU_LOG.broken" ]; then echo 'nvidia-container-cli: driver/library version mismatch' >&2; exit 1; fi
case $devices in *[4-9]*) echo 'nvidia-container-cli: device error: unknown device' >&2; exit 1 ;; esac
`

let folder: string
let gpuLog: string
let engine: PrivateEngine
let miner: TestMiner
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gpus-'))
  gpuLog = join(folder, 'log')
  await program('nvidia-container-runtime-hook', HOOK)
  await toolkit('1.17.8')
  // The engine lists the runtime nvidia wherever the toolkit is installed, with or without a GPU.
  const settings = { runtimes: { nvidia: { path: 'runc' } } }
  engine = await PrivateEngine.start({ programs: folder, settings, environment: { GPU_LOG: gpuLog } })
  await engine.load(ECHO)
})
beforeEach(async () => {
  await writeFile(gpuLog, '')
  miner = await TestMiner.start()
  return () => miner[Symbol.asyncDispose]()
})
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

async function program(name: string, text: string): Promise<void> {
  const path = join(folder, name)
  await writeFile(path, text)
  await chmod(path, 0o755)
}

const toolkit = (version: string) =>
  program('nvidia-ctk', `#!/bin/sh\necho 'NVIDIA Container Toolkit CLI version ${version}'\n`)

const environment = (gpus: string) => ({
  DOCKER_HOST: engine.dockerHost,
  EXECUTOR_GPU_DEVICE_IDS: gpus,
  PATH: `${folder}:${process.env.PATH}`,
})

/** The devices that containers asked for, in order. */
async function asked(): Promise<string[]> {
  const lines = (await readFile(gpuLog, 'utf8')).trim().split('\n').filter(Boolean)
  return lines.map(line => line.replaceAll('"', '').replace('NVIDIA_VISIBLE_DEVICES=', ''))
}

/** Runs a job on an executor with GPUs. Gives its stdout. */
async function computed(gpus: string, preset: string): Promise<string> {
  const wanted = await job({ image: ECHO, files: FILES, preset })
  const { executor, connection } = await readied(miner, wanted, environment(gpus))
  await connection.send(wanted.work)
  const { docker_process_stdout } = await resultOn(connection)
  await expectGoodEnd(executor, connection)
  return docker_process_stdout
}

/** Offers a job to an executor with GPUs that refuses it. Gives its log. */
async function refused(env: Record<string, string>): Promise<string> {
  const executor = miner.spawn(env)
  const connection = await executor.connection()
  await connection.send((await job({ image: ECHO })).offer)
  await receive(connection, 'V0FailedToPrepare')
  await expectGoodEnd(executor, connection)
  expect(await engine.docker('ps', '--all', '--quiet')).toBe('')
  return executor.log
}

describe('an executor with GPUs', () => {
  test('requests its GPUs once, and gives a job just those', async () => {
    expect(await computed('0,2', 'nvidia_all')).toBe('computed')
    expect(await asked()).toEqual(['0,2', '0,2'])
    expect(await computed('0,2', 'nvidia_all')).toBe('computed')
    expect(await asked()).toEqual(['0,2', '0,2', '0,2'])
  })

  test('requests them before the offer, and not again, where it prepares ahead and keeps no state', async () => {
    const wanted = await job({ image: ECHO, files: FILES, preset: 'nvidia_all' })
    const warm = await warmed(miner, { ...environment('0,2'), STATE_FOLDER: '/proc/no-such-folder' })
    await expect.poll(asked).toEqual(['0,2'])
    await ready(warm, wanted)
    expect(await asked()).toEqual(['0,2'])
    await warm.connection.send(wanted.work)
    expect(await resultOn(warm.connection)).toMatchObject({ docker_process_stdout: 'computed' })
    await expectGoodEnd(warm.executor, warm.connection)
    expect(await asked()).toEqual(['0,2', '0,2'])
  })

  test('takes no job when one was missing before the offer', async () => {
    const { executor, connection } = await warming(miner, environment('0,7'))
    await expect.poll(() => executor.log).toContain('could not prepare ahead of the offer')
    await connection.send((await job({ image: ECHO })).offer)
    await receive(connection, 'V0FailedToPrepare')
    await expectGoodEnd(executor, connection)
    expect(await engine.docker('ps', '--all', '--quiet')).toBe('')
  })

  test('gives all GPUs when it has all', async () => {
    expect(await computed('all', 'nvidia_all')).toBe('computed')
    expect(await asked()).toEqual(['all', 'all'])
  })

  test('gives none to a job that asks for none', async () => {
    expect(await computed('1', 'none')).toBe('computed')
    expect(await asked()).toEqual(['1'])
  })

  test('takes no job when the engine does not have one of them', async () => {
    expect(await refused(environment('0,7'))).toMatch(/does not offer this executor's GPUs.*unknown device/)
    // Nothing of that is remembered.
    expect(await refused(environment('0,7'))).toContain('unknown device')
    expect(await asked()).toEqual(['0,7', '0,7'])
  })

  test('takes no job when its driver is broken, unless only the engine reports GPUs', async () => {
    await writeFile(`${gpuLog}.broken`, '')
    try {
      expect(await refused(environment('all'))).toMatch(/does not offer this executor's GPUs.*version mismatch/)
      const { EXECUTOR_GPU_DEVICE_IDS: _, ...untold } = environment('')
      const wanted = await job({ image: ECHO, files: FILES })
      const { executor, connection } = await readied(miner, wanted, untold)
      await connection.send(wanted.work)
      expect(await resultOn(connection)).toMatchObject({ docker_process_stdout: 'computed' })
      await expectGoodEnd(executor, connection)
      expect(await asked()).toEqual(['all'])
    } finally {
      await rm(`${gpuLog}.broken`)
    }
  })

  test('takes no job when NVIDIA’s toolkit has a known escape, unless that is accepted', async () => {
    await toolkit('1.16.1')
    try {
      expect(await refused(environment('0'))).toMatch(/CVE-2024-0132.*KNOWN_ESCAPES=warn/)
      expect(await asked()).toEqual([])
      const wanted = await job({ image: ECHO, files: FILES })
      const { executor, connection } = await readied(miner, wanted, { ...environment('0'), KNOWN_ESCAPES: 'warn' })
      await connection.send(wanted.work)
      expect(await resultOn(connection)).toMatchObject({ docker_process_stdout: 'computed' })
      await expectGoodEnd(executor, connection)
      expect(executor.log).toMatch(/"level":"warn".*CVE-2024-0132/)
    } finally {
      await toolkit('1.17.8')
    }
  })
})

test('fails a job that asks for GPUs on an executor without any, and starts nothing', async () => {
  expect(await computed('none', 'nvidia_all')).toBe('The job asks for NVIDIA GPUs and this executor has none')
  expect(await asked()).toEqual([])
})
