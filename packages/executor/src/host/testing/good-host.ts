import type { HostFacts } from '../host-facts.ts'

/** A host with which nothing is wrong, for tests to take things away from. */
export const GOOD_HOST: HostFacts = {
  version: '28.5.2',
  apiVersion: '1.51',
  system: 'linux',
  kernel: '6.12.48',
  machine: 'x86_64',
  memoryBytes: 16 * 1024 ** 3,
  cpus: 8,
  dataFolder: '/var/lib/docker',
  cgroupVersion: '2',
  missingLimits: [],
  hasSwapLimit: true,
  seccompProfile: 'builtin',
  mandatoryAccess: undefined,
  hasUserNamespaces: false,
  isRootless: false,
  runtimes: { runc: 'runc' },
  defaultRuntime: 'runc',
  runc: { version: '1.3.3', build: 'v1.3.3-0-gd842d771' },
  tellsOfNvidia: false,
  swapBytes: 0,
  kernelBuilds: [],
  nvidiaToolkit: undefined,
  mendedInRunc: [],
}
