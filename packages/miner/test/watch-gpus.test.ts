/** The watch over GPUs, with a program of ours in the place of nvidia-smi. */
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LONG_MS } from '@horde/kit/testing/limits'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ExecutorManager } from '../src/horde/manager.ts'
import { PROBE_MS, type ProbeResult } from '../src/horde/probe.ts'
import { probeInProcess } from '../src/horde/process/probe-process.ts'
import { gpuWatch, lookAtGpus } from '../src/watch/gpus.ts'
import { temporaryFolder } from './harness.ts'

const ASKED = '--query-gpu=index,uuid,name,ecc.errors.uncorrected.volatile.total --format=csv,noheader,nounits'
const GPUS = [
  '0, GPU-aaaa1111-0000-0000-0000-000000000000, NVIDIA RTX A6000, 0',
  '1, GPU-bbbb2222-0000-0000-0000-000000000000, NVIDIA RTX A6000, 0',
]
const { signal } = new AbortController()

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeEach(async () => {
  folder = await temporaryFolder()
})
afterEach(() => folder[Symbol.asyncDispose]())

/** Answers what was asked as the real one does, and nothing else. */
async function install(lines: readonly string[], exitCode = 0): Promise<void> {
  const path = join(folder.path, 'nvidia-smi')
  const said = lines.map(line => `echo '${line}'`).join('\n')
  await writeFile(path, `#!/bin/sh\n[ "$*" = '${ASKED}' ] || exit 2\n${said}\nexit ${exitCode}\n`)
  await chmod(path, 0o755)
}

const here = (): Pick<ExecutorManager, 'probe'> => {
  return { probe: probe => probeInProcess(probe, { PATH: `${folder.path}:/usr/bin:/bin` }) }
}
const pool = (used: 'all' | string[], manager = here(), isGivenItsOwn = false) => {
  return { name: 'p', manager, used, isGivenItsOwn, isNamed: used !== 'all' }
}
const watch = (used: 'all' | string[]) => gpuWatch(() => [pool(used)])
const look = async (used: 'all' | string[] = 'all') => said(await lookAtGpus(pool(used)))
const said = (findings: Awaited<ReturnType<typeof lookAtGpus>>) =>
  findings.map(({ verdict, found }) => `${verdict}: ${found}`)

describe('GPUs that are well', () => {
  it.each<['all' | string[]]>([
    ['all'],
    [['0', '1']],
    [['GPU-bbbb2222-0000-0000-0000-000000000000', 'GPU-aaaa']],
    [['MIG-7f0e2d1c-0000-0000-0000-000000000000']],
  ])('used as %j', async used => {
    await install(GPUS)
    expect(await look(used)).toEqual(['ok: 2 are here and well'])
  })

  it('may have no ECC', async () => {
    await install(['0, GPU-cc, NVIDIA GeForce RTX 3090, [N/A]'])
    expect(await look()).toEqual(['ok: 1 are here and well'])
  })
})

it('one whose memory lies is a warning', async () => {
  await install([GPUS[0] ?? '', '1, GPU-bbbb2222, NVIDIA RTX A6000, 3'])
  expect(await look()).toEqual(['warn: GPU 1 had 3 memory errors that ECC could not correct since its driver started'])
})

describe('a GPU that fell off is bad', () => {
  it('when the settings name it and it is not listed', async () => {
    await install(GPUS)
    expect(await look(['0', '1', '2', 'GPU-dddd'])).toEqual(['bad: 2 are here, but not 2, GPU-dddd'])
  })

  it('when there are fewer than there were', async () => {
    const all = watch('all')
    await install(GPUS)
    expect(await all.look(signal)).toMatchObject([{ verdict: 'ok', measured: 2 }])
    await install(GPUS.slice(1))
    expect(await all.look(signal), 'it counts at the second reading').toMatchObject([{ verdict: 'warn', pools: ['p'] }])
    expect(await all.look(signal)).toMatchObject([
      { verdict: 'bad', found: '1 are here, and there were 2', pools: ['p'] },
    ])
    await install(GPUS)
    expect(await all.look(signal)).toMatchObject([{ verdict: 'ok' }])
    await install(GPUS.slice(1))
    expect(await all.look(signal)).toMatchObject([{ verdict: 'warn' }])
  })

  it('when nvidia-smi fails over it', async () => {
    const said = 'Unable to determine the device handle for GPU0000:03:00.0: GPU is lost.  Reboot the system'
    await install([said], 15)
    expect(await look()).toEqual([`bad: nvidia-smi exited with 15: ${said}`])
  })

  it('when the driver was updated under a running kernel, which a reboot ends', async () => {
    await install(['Failed to initialize NVML: Driver/library version mismatch'], 18)
    const gpus = watch('all')
    await gpus.look(signal)
    expect(await gpus.look(signal)).toMatchObject([
      {
        verdict: 'bad',
        found: 'the NVIDIA driver in the kernel and its libraries are of different versions',
        advice: 'reboot this machine: the driver was updated',
      },
    ])
  })

  it('when its columns say so', async () => {
    await install([GPUS[0] ?? '', '1, GPU-bbbb2222, NVIDIA RTX A6000, [GPU requires reset]'])
    expect(await look()).toEqual(['bad: GPU 1 does not work any more'])
  })

  it('when there is none left', async () => {
    await install([])
    expect(await look()).toEqual(['bad: there are none'])
  })
})

it('nobody looks where executors use none', async () => {
  await install(GPUS, 1)
  expect(await look([])).toEqual([])
})

it('a machine without nvidia-smi is told as such', async () => {
  expect(await look()).toEqual(['warn: nvidia-smi is not where executors run'])
})

it('an nvidia-smi that hangs is ended, and bad', { timeout: LONG_MS }, async () => {
  const path = join(folder.path, 'nvidia-smi')
  await writeFile(path, '#!/bin/sh\nexec sleep 1000\n')
  await chmod(path, 0o755)
  expect(await look()).toEqual([`bad: nvidia-smi gave no answer: nvidia-smi: not done within ${PROBE_MS} ms`])
})

describe('through an engine', () => {
  const answers = (result: ProbeResult): Pick<ExecutorManager, 'probe'> => ({ probe: async () => result })
  const refused = { refused: 'could not select device driver' }

  it('GPUs are numbered anew: their number counts', async () => {
    const one = answers({ exitCode: 0, output: `${GPUS[0]}\n` })
    expect(said(await lookAtGpus(pool(['5'], one, true)))).toEqual(['ok: 1 are here and well'])
    expect(said(await lookAtGpus(pool(['5', '6'], one, true)))).toEqual(['bad: 1 are here of the 2 that the pool has'])
  })

  it('GPUs that the settings name and the engine does not offer are bad', async () => {
    const expected = 'the engine does not offer them: could not select device driver'
    expect(said(await lookAtGpus(pool(['0'], answers(refused), true)))).toEqual([`bad: ${expected}`])
  })

  it('an engine without any is a warning where the class alone speaks of GPUs', async () => {
    expect(await lookAtGpus(pool('all', answers(refused), true))).toMatchObject([{ verdict: 'warn' }])
  })

  it.each([
    ['an image without nvidia-smi', answers({ missing: true })],
    ['a driver without its libraries', answers({ exitCode: 12, output: 'NVML not found' })],
    ['an engine that does not answer', { probe: () => Promise.reject(new Error('away')) }],
    ['a manager that cannot look', {}],
  ])('%s says nothing: what was bad stays so', async (_, manager) => {
    expect(await lookAtGpus(pool(['0'], manager, true))).toMatchObject([{ verdict: 'warn', isUnknown: true }])
  })
})
