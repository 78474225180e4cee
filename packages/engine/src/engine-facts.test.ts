import { expect, test } from 'vitest'
import { type EngineInfo, engineFacts } from './engine-facts.ts'

/** The answers of Docker 20.10 of Debian 12 on a real host, without the fields that nothing reads. */
const INFO: EngineInfo = {
  MemoryLimit: true,
  SwapLimit: true,
  CpuCfsQuota: true,
  PidsLimit: true,
  CgroupVersion: '1',
  CgroupDriver: 'cgroupfs',
  KernelVersion: '6.1.0-18-amd64',
  OSType: 'linux',
  Architecture: 'x86_64',
  NCPU: 2,
  MemTotal: 25276514304,
  DockerRootDir: '/var/lib/docker',
  ServerVersion: '20.10.24+dfsg1',
  Runtimes: { 'io.containerd.runc.v2': { path: 'runc' }, runc: { path: 'runc' } },
  DefaultRuntime: 'runc',
  RuncCommit: { ID: '1.1.5+ds1-1+deb12u1' },
  SecurityOptions: ['name=seccomp,profile=default'],
}
const VERSION = { ApiVersion: '1.41', Components: [{ Name: 'runc', Version: '1.1.5+ds1' }] }

test('reads the facts in the answers of an engine', () => {
  expect(engineFacts(INFO, VERSION)).toEqual({
    version: '20.10.24+dfsg1',
    apiVersion: '1.41',
    system: 'linux',
    kernel: '6.1.0-18-amd64',
    machine: 'x86_64',
    memoryBytes: 25276514304,
    cpus: 2,
    dataFolder: '/var/lib/docker',
    cgroupVersion: '1',
    cgroupDriver: 'cgroupfs',
    missingLimits: [],
    hasSwapLimit: true,
    seccompProfile: 'default',
    mandatoryAccess: undefined,
    hasUserNamespaces: false,
    isRootless: false,
    runtimes: { 'io.containerd.runc.v2': 'runc', runc: 'runc' },
    defaultRuntime: 'runc',
    runc: { version: '1.1.5+ds1', build: '1.1.5+ds1-1+deb12u1' },
    reportsNvidia: false,
  })
})

test.each<[string, EngineInfo, object]>([
  [
    'without limits',
    { MemoryLimit: false, PidsLimit: false, CpuCfsQuota: false, SwapLimit: false },
    { missingLimits: ['memory', 'pids', 'cpus'], hasSwapLimit: false },
  ],
  [
    'without seccomp',
    { SecurityOptions: ['name=apparmor'] },
    { seccompProfile: undefined, mandatoryAccess: 'apparmor' },
  ],
  ['unconfined', { SecurityOptions: ['name=seccomp,profile=unconfined'] }, { seccompProfile: undefined }],
  [
    'of version 29',
    { SecurityOptions: ['name=seccomp,profile=builtin', 'name=cgroupns'] },
    { seccompProfile: 'builtin' },
  ],
  [
    'with a profile of its own',
    { SecurityOptions: ['name=seccomp,profile=/etc/a=b.json'] },
    { seccompProfile: '/etc/a=b.json' },
  ],
  ['that reports only seccomp', { SecurityOptions: ['name=seccomp'] }, { seccompProfile: 'default' }],
  ['with SELinux', { SecurityOptions: ['name=selinux'] }, { mandatoryAccess: 'selinux' }],
  ['that maps users', { SecurityOptions: ['name=userns'] }, { hasUserNamespaces: true }],
  ['that is rootless', { SecurityOptions: ['name=rootless'] }, { isRootless: true }],
  ['with NVIDIA’s runtime', { Runtimes: { nvidia: { path: 'nvidia-container-runtime' } } }, { reportsNvidia: true }],
  ['with CDI devices', { DiscoveredDevices: [{ ID: 'nvidia.com/gpu=0' }] }, { reportsNvidia: true }],
])('reads the facts of an engine %s', (_, changes, facts) => {
  expect(engineFacts({ ...INFO, ...changes }, VERSION)).toMatchObject(facts)
})

test('assumes neither limits nor seccomp of an engine that reports nothing, and leaves every number empty', () => {
  expect(engineFacts({}, {})).toMatchObject({
    apiVersion: '',
    system: '',
    cgroupVersion: '1',
    missingLimits: ['memory', 'pids', 'cpus'],
    hasSwapLimit: false,
    seccompProfile: undefined,
  })
})
