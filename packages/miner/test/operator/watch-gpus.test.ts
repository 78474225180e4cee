/** The watch over GPUs, with a program of ours in the place of nvidia-smi. */
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ExecutorManager, ProbeResult } from '../../src/horde/manager.ts'
import { probeInProcess } from '../../src/horde/process/process-manager.ts'
import { type GpuPool, gpuWatch, lookAtGpus } from '../../src/operator/watches/gpus.ts'
import { temporaryFolder } from '../harness.ts'

const ASKED =
  '--query-gpu=index,uuid,name,ecc.errors.uncorrected.volatile.total,memory.total --format=csv,noheader,nounits'
const GPUS = [
  '0, GPU-aaaa1111-0000-0000-0000-000000000000, NVIDIA RTX A6000, 0, 49140',
  '1, GPU-bbbb2222-0000-0000-0000-000000000000, NVIDIA RTX A6000, 0, 49140',
]
/** How long the program that hangs may run. */
const SHORT_PROBE_MS = 200
const { signal } = new AbortController()

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeEach(async () => {
  folder = await temporaryFolder()
})
afterEach(() => folder[Symbol.asyncDispose]())

/** Answers what was asked as the real one does, and nothing else. */
async function install(lines: readonly string[], exitCode = 0): Promise<void> {
  const path = join(folder.path, 'nvidia-smi')
  const output = lines.map(line => `echo '${line}'`).join('\n')
  await writeFile(
    path,
    `#!/bin/sh\n[ "$*" = '${ASKED}' ] || exit 2\n${output}
exit ${exitCode}\n`,
  )
  await chmod(path, 0o755)
}

const here = (withinMs?: number): Pick<ExecutorManager, 'probe'> => {
  return { probe: probe => probeInProcess(probe, { PATH: `${folder.path}:/usr/bin:/bin` }, withinMs) }
}
const pool = (
  used: 'all' | string[],
  manager = here(),
  isGivenItsOwn = false,
  more: Partial<GpuPool> = {},
): GpuPool => {
  const claim = { executorClass: 'always_on.gpu-24gb', executors: 1, isShared: true, isInsisted: false } as const
  return { name: 'p', manager, used, isGivenItsOwn, claim, ...more }
}
const watch = (used: 'all' | string[]) => gpuWatch(() => [pool(used)])
const look = async (used: 'all' | string[] = 'all') => summary(await lookAtGpus(pool(used)))
const summary = (findings: Awaited<ReturnType<typeof lookAtGpus>>) =>
  findings.map(({ verdict, found }) => `${verdict}: ${found}`)

describe('healthy GPUs', () => {
  it.each<['all' | string[]]>([
    ['all'],
    [['0', '1']],
    [['GPU-bbbb2222-0000-0000-0000-000000000000', 'GPU-aaaa']],
    [['MIG-7f0e2d1c-0000-0000-0000-000000000000']],
  ])('are ok when executors use %j', async used => {
    await install(GPUS)
    expect(await look(used)).toEqual(['ok: 2 are here and well'])
  })

  it('are ok without ECC', async () => {
    await install(['0, GPU-cc, NVIDIA GeForce RTX 3090, [N/A], 24576'])
    expect(await look()).toEqual(['ok: 1 are here and well'])
  })
})

it('warns of a GPU with memory errors', async () => {
  await install([GPUS[0] ?? '', '1, GPU-bbbb2222, NVIDIA RTX A6000, 3, 49140'])
  expect(await look()).toEqual(['warn: GPU 1 had 3 memory errors that ECC could not correct since its driver started'])
})

describe('a lost GPU is bad', () => {
  it('when the settings name it and nvidia-smi does not list it', async () => {
    await install(GPUS)
    expect(await look(['0', '1', '2', 'GPU-dddd'])).toEqual(['bad: 2 are here, but not 2, GPU-dddd'])
  })

  it('when there are fewer than before', async () => {
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

  it('when nvidia-smi fails because of it', async () => {
    const complaint = 'Unable to determine the device handle for GPU0000:03:00.0: GPU is lost.  Reboot the system'
    await install([complaint], 15)
    expect(await look()).toEqual([`bad: nvidia-smi exited with 15: ${complaint}`])
  })

  it('when the driver was updated and the machine not rebooted', async () => {
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

  it('when its columns report it', async () => {
    await install([GPUS[0] ?? '', '1, GPU-bbbb2222, NVIDIA RTX A6000, [GPU requires reset], [N/A]'])
    expect(await look()).toEqual(['bad: GPU 1 does not work any more'])
  })

  it('when no GPU is left', async () => {
    const all = watch('all')
    await install(GPUS)
    await all.look(signal)
    await install([])
    await all.look(signal)
    expect(await all.look(signal)).toMatchObject([{ verdict: 'bad', found: '0 are here, and there were 2' }])
  })
})

describe('a host that does not match the class of its pool', () => {
  const claim = { executorClass: 'always_on.llm.a6000', executors: 2, isShared: true, isInsisted: false } as const
  const small = '0, GPU-cc, NVIDIA GeForce RTX 3090, 0, 24576'
  const lookAt = (more: Partial<GpuPool>, used: 'all' | string[] = 'all') => lookAtGpus(pool(used, here(), false, more))

  it.each<[string, string[], Partial<GpuPool['claim']>, string]>([
    ['has no GPU', [], {}, 'pool p is of the class always_on.llm.a6000, and there are no GPUs where its executors run'],
    [
      'has a GPU with too little memory',
      [GPUS[0] ?? '', small],
      {},
      'pool p is of the class always_on.llm.a6000, whose GPUs have 45000 MiB, and GPU 0 has 24576',
    ],
    [
      'has fewer GPUs than executors',
      GPUS,
      { executors: 3 },
      'pool p has 3 executors of the class always_on.llm.a6000, and there are 2 GPUs for them',
    ],
  ])('%s', async (_, lines, changes, found) => {
    await install(lines)
    const gpus = lines.length === 0 ? [] : [{ verdict: 'ok', subject: 'gpus', measured: lines.length }]
    expect(await lookAt({ claim: { ...claim, ...changes } })).toMatchObject([
      ...gpus,
      { verdict: 'bad', subject: 'class', found },
    ])
    const insisted = { ...claim, ...changes, isInsisted: true }
    expect(await lookAt({ claim: insisted })).toMatchObject([...gpus, { verdict: 'warn', subject: 'class', found }])
  })

  it('only warns when the operator insists, and still reports memory errors and the number of GPUs', async () => {
    await install([GPUS[0] ?? '', '1, GPU-cc, NVIDIA GeForce RTX 3090, 3, 24576'])
    const insisted = { ...claim, isInsisted: true }
    expect(await lookAt({ claim: insisted })).toMatchObject([
      { verdict: 'warn', subject: 'gpus', found: expect.stringContaining('GPU 1 had 3 memory errors'), measured: 2 },
      { verdict: 'warn', subject: 'class' },
    ])
  })

  it.each<[string, string[], Partial<GpuPool['claim']>, 'all' | string[]]>([
    ['enough GPUs of its memory', GPUS, {}, 'all'],
    ['GPUs that each executor has for itself', GPUS, { executors: 3, isShared: false }, ['0', '1']],
    ['a small GPU that its executors do not use', [small, GPUS[1] ?? ''], { executors: 1 }, ['1']],
    ['GPUs that do not report their memory', ['0, GPU-a, NVIDIA, 0, [N/A]', '1, GPU-b, NVIDIA, 0, [N/A]'], {}, 'all'],
    ['parts of GPUs, whose memory is not reported', [small], { executors: 1 }, ['MIG-7f0e2d1c']],
    ['a class without GPUs', [small], { executorClass: 'always_on.test', executors: 9 }, 'all'],
    [
      '24 GB, although a card with ECC reports less',
      ['0, GPU-a, NVIDIA A10, 0, 22731'],
      { executorClass: 'always_on.gpu-24gb', executors: 1 },
      'all',
    ],
  ])('does not mean a host with %s', async (_, lines, changes, used) => {
    await install(lines)
    expect(await lookAt({ claim: { ...claim, ...changes } }, used)).toMatchObject([{ verdict: 'ok', subject: 'gpus' }])
  })

  it('is bad from the second look on', async () => {
    await install([small])
    const one = gpuWatch(() => [pool('all', here(), false, { claim })])
    const gpus = { verdict: 'ok', subject: 'gpus' }
    expect(await one.look(signal)).toMatchObject([gpus, { verdict: 'warn', subject: 'class' }])
    expect(await one.look(signal)).toMatchObject([gpus, { verdict: 'bad', subject: 'class', pools: ['p'] }])
  })

  it('stays bad while its GPUs have problems, until they match the class', async () => {
    let executorClass: GpuPool['claim']['executorClass'] = claim.executorClass
    const watch = gpuWatch(() => [pool('all', here(), false, { claim: { ...claim, executors: 1, executorClass } })])
    const classes = async () => (await watch.look(signal)).filter(({ subject }) => subject === 'class')
    await install([small])
    await classes()
    const [known] = await classes()
    expect(known).toMatchObject({ verdict: 'bad', pools: ['p'] })
    await install(['GPU is lost'], 15)
    expect(await classes()).toEqual([known])
    await install([GPUS[0] ?? ''])
    expect(await classes()).toEqual([])
    await install(['GPU is lost'], 15)
    expect(await classes()).toEqual([])

    await install([small])
    await classes()
    expect(await classes()).toEqual([known])
    await install(['GPU is lost'], 15)
    executorClass = 'always_on.gpu-24gb'
    expect(await classes(), 'of another class').toEqual([])
  })
})

it('does not look where executors use no GPUs', async () => {
  await install(GPUS, 1)
  expect(await look([])).toEqual([])
})

it.each<[boolean | undefined, string]>([
  [false, 'bad: pool p is of the class always_on.gpu-24gb, and this machine has no driver for GPUs'],
  [true, 'warn: nvidia-smi is not where executors run'],
  [undefined, 'warn: nvidia-smi is not where executors run'],
])('reports a machine without nvidia-smi whose driver is %s', async (hasDriver, expected) => {
  expect(summary(await lookAtGpus(pool('all', here(), false, { hasDriver: () => hasDriver })))).toEqual([expected])
})

it('warns of a machine without nvidia-smi', async () => {
  expect(await look()).toEqual(['warn: nvidia-smi is not where executors run'])
})

it('kills an nvidia-smi that hangs, and finds it bad', async () => {
  const path = join(folder.path, 'nvidia-smi')
  await writeFile(path, '#!/bin/sh\nexec sleep 1000\n')
  await chmod(path, 0o755)
  const found = summary(await lookAtGpus(pool('all', here(SHORT_PROBE_MS))))
  expect(found).toEqual([`bad: nvidia-smi gave no answer: nvidia-smi: not done within ${SHORT_PROBE_MS} ms`])
})

describe('through an engine', () => {
  const answers = (result: ProbeResult): Pick<ExecutorManager, 'probe'> => ({ probe: async () => result })
  const refused = { refused: 'could not select device driver' }

  it('compares the number of GPUs, since a container numbers them anew', async () => {
    const one = answers({ exitCode: 0, output: `${GPUS[0]}\n` })
    expect(summary(await lookAtGpus(pool(['5'], one, true)))).toEqual(['ok: 1 are here and well'])
    expect(summary(await lookAtGpus(pool(['5', '6'], one, true)))).toEqual([
      'bad: 1 are here of the 2 that the pool has',
    ])
  })

  it('finds it bad when the engine no longer offers its GPUs', async () => {
    const results: ProbeResult[] = [{ exitCode: 0, output: `${GPUS[0]}\n` }, refused, refused]
    const manager = { probe: async () => results.shift() ?? refused }
    const watch = gpuWatch(() => [pool(['0'], manager, true)])
    await watch.look(signal)
    await watch.look(signal)
    const expected = 'the engine does not offer them: could not select device driver'
    expect(summary(await watch.look(signal))).toEqual([`bad: ${expected}`])
  })

  it('finds that an engine without GPUs does not match the class', async () => {
    const found = 'pool p is of the class always_on.gpu-24gb, and the engine offers no GPUs'
    expect(await lookAtGpus(pool('all', answers(refused), true))).toMatchObject([
      { verdict: 'bad', subject: 'class', found },
    ])
  })

  it('reports an engine without GPUs when the settings want all and the class needs none', async () => {
    const claim = { executorClass: 'always_on.test', executors: 1, isShared: true, isInsisted: false } as const
    const found = await lookAtGpus(pool('all', answers(refused), true, { claim }))
    expect(summary(found)).toEqual(['bad: the engine does not offer them: could not select device driver'])
  })

  it.each([
    ['an image without nvidia-smi', answers({ missing: true })],
    ['a driver without its libraries', answers({ exitCode: 12, output: 'NVML not found' })],
    ['an engine that does not answer', { probe: () => Promise.reject(new Error('away')) }],
    ['a manager that cannot look', {}],
  ])('leaves an earlier bad finding in force after %s', async (_, manager) => {
    expect(await lookAtGpus(pool(['0'], manager, true))).toMatchObject([{ verdict: 'warn', isUnknown: true }])
  })
})
