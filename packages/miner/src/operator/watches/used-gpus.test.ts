import { expect, it } from 'vitest'
import type { PoolSettings } from '../../horde/pools/pool-settings.ts'
import { gpuPool, usedGpus } from './used-gpus.ts'

const pool = (changes: Partial<PoolSettings> = {}): PoolSettings => ({
  ...{ name: 'p', executorClass: 'always_on.gpu-24gb', count: 1, warm: 0, manager: 'docker', image: 'img' },
  ...{ program: 'compute-horde', folder: undefined },
  ...{ engine: { socket: '/var/run/docker.sock' }, gpus: [], environment: {}, address: undefined },
  ...changes,
})
const elsewhere = { tls: { host: 'h', port: 1, ca: '', cert: '', key: '' }, remoteSocket: '/s' }

it.each<[string, PoolSettings, 'all' | string[]]>([
  ['a pool of a class with GPUs that names none uses all', pool(), 'all'],
  ['a pool of another class uses none', pool({ executorClass: 'always_on.test' }), []],
  [
    'a pool may name them',
    pool({
      gpus: [
        ['0', '1'],
        ['2', '3'],
      ],
    }),
    ['0', '1', '2', '3'],
  ],
  ['or its executors', pool({ environment: { EXECUTOR_GPU_DEVICE_IDS: '0, GPU-1' } }), ['0', 'GPU-1']],
  ['or say that there are none', pool({ environment: { EXECUTOR_GPU_DEVICE_IDS: 'none' } }), []],
  ['those of another host are looked at there', pool({ engine: elsewhere }), 'all'],
  ['those of a module of the operator are not known', pool({ manager: '/my/manager.mjs' }), []],
  ['two executors may share', pool({ gpus: [['0'], ['1'], ['0']], manager: 'process' }), ['0', '1']],
])('%s: the used GPUs', (_, settings, used) => {
  expect(usedGpus(settings)).toEqual(used)
})

it.each<[PoolSettings, boolean, boolean]>([
  [pool(), true, true],
  [pool({ manager: 'process', gpus: [['0']] }), false, false],
  [pool({ environment: { EXECUTOR_GPU_DEVICE_IDS: '0' } }), true, true],
])('gives a container only its own GPUs, shared with others or not', (settings, isGivenItsOwn, isShared) => {
  const manager = { start: () => Promise.reject(new Error('none')) }
  const claim = { executorClass: 'always_on.gpu-24gb', executors: 1, isShared, isInsisted: false }
  expect(gpuPool(settings, manager, { CLASS_MISMATCH: 'refuse', processEnvironment: {} })).toMatchObject({
    isGivenItsOwn,
    claim,
  })
  expect(gpuPool(settings, manager, { CLASS_MISMATCH: 'warn', processEnvironment: {} }).claim.isInsisted).toBe(true)
})

it('looks for a driver only on this machine', () => {
  const manager = { start: () => Promise.reject(new Error('none')) }
  const config = { CLASS_MISMATCH: 'refuse', processEnvironment: {} } as const
  const isAsked = (changes: Partial<PoolSettings>, processEnvironment = {}) =>
    gpuPool(pool(changes), manager, { ...config, processEnvironment }).hasDriver !== undefined
  expect(isAsked({ manager: 'process' })).toBe(true)
  expect(isAsked({ manager: 'process' }, { DOCKER_HOST: 'tcp://elsewhere:2376' })).toBe(false)
  expect(isAsked({ manager: 'process', environment: { DOCKER_HOST: 'tcp://elsewhere:2376' } })).toBe(false)
  expect(isAsked({ manager: 'docker' })).toBe(false)
})
