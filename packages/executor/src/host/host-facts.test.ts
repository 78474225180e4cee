import { expect, test } from 'vitest'
import { fixedBy, kernelBuilds, packageVersion, swapOf } from './host-facts.ts'

test.each([
  ['MemTotal:       100 kB\nSwapTotal:      2048 kB\nSwapFree:        7 kB\n', 2_097_152],
  ['SwapTotal:             0 kB\n', 0],
  ['', undefined],
])('reads the swap in %j', (memory, bytes) => {
  expect(swapOf(memory)).toBe(bytes)
})

test.each([
  ['#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)', '', ['6.1.76']],
  ['#101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023', 'Ubuntu 5.15.0-91.101-generic 5.15.131\n', ['5.15.131']],
  ['#1 SMP PREEMPT_DYNAMIC @0 6.18.44-fc-v595', '', []],
])('finds the upstream version in %j and %j', (uname, signature, builds) => {
  expect(kernelBuilds(uname, signature)).toEqual(builds)
})

const CHANGELOG = `runc (1.1.5+ds1-1+deb12u1) bookworm-security; urgency=high

  * CVE-2024-21626: several container breakouts due to internally leaked fds

runc (1.1.5+ds1-1) unstable; urgency=medium

  * CVE-2023-25809, CVE-2023-25809 (Closes: #1033520)
`

test('uses a changelog only for its own build', () => {
  expect(fixedBy(CHANGELOG, '1.1.5+ds1-1+deb12u1')).toEqual(['CVE-2024-21626', 'CVE-2023-25809'])
  expect(fixedBy(CHANGELOG, '1.1.5+ds1-1')).toEqual([])
  expect(fixedBy('', '')).toEqual([])
})

const STATUS = `Package: nvidia-container-toolkit-base
Status: install ok installed
Version: 1.16.1-1

Package: nvidia-container-toolkit
Status: install ok installed
Architecture: amd64
Version: 1:1.17.8-1

Package: removed
Status: deinstall ok config-files
Version: 1.0-1
`

test.each([
  ['nvidia-container-toolkit', '1.17.8'],
  ['nvidia-container-toolkit-base', '1.16.1'],
  ['removed', undefined],
  ['nvidia', undefined],
])('finds the installed version of %s', (name, version) => {
  expect(packageVersion(STATUS, name)).toBe(version)
})
