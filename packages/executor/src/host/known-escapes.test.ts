import { expect, test } from 'vitest'
import { GOOD_HOST } from '../../test/host/good-host.ts'
import type { HostFacts } from './host-facts.ts'
import { KNOWN_ESCAPES, likelihoodOf, unknownParts } from './known-escapes.ts'

type Case = [cve: string, host: Partial<HostFacts>, likelihood: 'surely' | 'perhaps' | 'no']
interface Executor {
  runtime?: string
  hasGpus?: boolean
}

function likelihood(cve: string, host: Partial<HostFacts>, { runtime = 'runc', hasGpus = false }: Executor = {}) {
  const flaw = KNOWN_ESCAPES.find(each => each.cve === cve)
  if (!flaw) throw new Error(`no such flaw: ${cve}`)
  return likelihoodOf(flaw, { facts: { ...GOOD_HOST, ...host }, runtime, hasGpus })
}

const OPEN = { cgroupVersion: '1', seccompProfile: undefined, mandatoryAccess: undefined }

test.each<Case>([
  ['CVE-2022-0492', { ...OPEN, kernel: '5.16.5' }, 'surely'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.16.6' }, 'no'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.17.0' }, 'no'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.15.19' }, 'surely'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.15.20' }, 'no'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.10.96' }, 'surely'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.10.97' }, 'no'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.4.176' }, 'surely'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.4.177' }, 'no'],
  ['CVE-2022-0492', { ...OPEN, kernel: '4.19.228' }, 'surely'],
  ['CVE-2022-0492', { ...OPEN, kernel: '4.19.229' }, 'no'],
  ['CVE-2022-0492', { ...OPEN, kernel: '4.14.265' }, 'surely'],
  ['CVE-2022-0492', { ...OPEN, kernel: '4.14.266' }, 'no'],
  ['CVE-2022-0492', { ...OPEN, kernel: '4.9.300' }, 'surely'],
  ['CVE-2022-0492', { ...OPEN, kernel: '4.9.301' }, 'no'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.11.22' }, 'surely'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.10.0-11-amd64' }, 'perhaps'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.10.0-11-amd64', kernelBuilds: ['5.10.92'] }, 'perhaps'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.10.0-28-amd64', kernelBuilds: ['5.10.209'] }, 'no'],
  ['CVE-2022-0492', { ...OPEN, kernel: '4.18.0-513.el8.x86_64' }, 'perhaps'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.16.5', cgroupVersion: '2' }, 'no'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.16.5', seccompProfile: 'default' }, 'no'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.16.5', mandatoryAccess: 'apparmor' }, 'no'],
  ['CVE-2022-0492', { ...OPEN, kernel: '5.16.5', mandatoryAccess: 'selinux' }, 'no'],
  ['CVE-2022-0847', { kernel: '5.7.19' }, 'no'],
  ['CVE-2022-0847', { kernel: '5.8.0' }, 'surely'],
  ['CVE-2022-0847', { kernel: '5.10.101' }, 'surely'],
  ['CVE-2022-0847', { kernel: '5.10.102' }, 'no'],
  ['CVE-2022-0847', { kernel: '5.15.25' }, 'no'],
  ['CVE-2022-0847', { kernel: '5.16.11' }, 'no'],
  ['CVE-2022-0847', { kernel: '5.17.0' }, 'no'],
  ['CVE-2022-0847', { kernel: '5.15.0-91-generic' }, 'perhaps'],
  ['CVE-2022-0847', { kernel: '5.15.0-91-generic', kernelBuilds: ['5.15.131'] }, 'no'],
  ['CVE-2022-0847', { kernel: '5.4.0-150-generic' }, 'no'],
  ['CVE-2022-0847', { kernel: '' }, 'no'],
])('%s on the kernel of %j: %s', (cve, host, expected) => {
  expect(likelihood(cve, host)).toBe(expected)
})

const runc = (version: string, build: string) => ({ runc: { version, build } })

test.each<Case>([
  ['CVE-2019-5736', runc('1.0.0-rc6', 'v1.0.0-rc6-0-g96ec217'), 'surely'],
  ['CVE-2019-5736', { ...runc('1.0.0-rc6', 'v1.0.0-rc6-0-g96ec217'), hasUserNamespaces: true }, 'no'],
  ['CVE-2019-5736', runc('1.0.0-rc93', 'v1.0.0-rc93-0-g12644e6'), 'no'],
  ['CVE-2024-21626', runc('1.0.0-rc92', 'v1.0.0-rc92-0-gff819c7'), 'no'],
  ['CVE-2024-21626', runc('1.0.0-rc93', 'v1.0.0-rc93-0-g12644e6'), 'surely'],
  ['CVE-2024-21626', runc('1.1.11', 'v1.1.11-0-g4bccb38'), 'surely'],
  ['CVE-2024-21626', runc('1.1.12', 'v1.1.12-0-g51d5e94'), 'no'],
  ['CVE-2024-21626', runc('1.1.11', '4bccb38cc9cf198d52bebf2b3a90cd14e7af8c06'), 'perhaps'],
  ['CVE-2024-21626', runc('1.1.5+ds1', '1.1.5+ds1-1+deb12u1'), 'perhaps'],
  ['CVE-2024-21626', { ...runc('1.1.5+ds1', '1.1.5+ds1-1+deb12u1'), mendedInRunc: ['CVE-2024-21626'] }, 'no'],
  ['CVE-2024-21626', runc('1.1.7', '1.1.7-0ubuntu1~22.04.2'), 'perhaps'],
  ['CVE-2024-21626', runc('', '1.1.7-0ubuntu1~22.04.2'), 'perhaps'],
  ['CVE-2024-21626', runc('', ''), 'no'],
  ['CVE-2025-31133', runc('1.2.7', 'v1.2.7-0-g0000000'), 'perhaps'],
  ['CVE-2025-31133', runc('1.2.8', 'v1.2.8-0-g0000000'), 'no'],
  ['CVE-2025-31133', runc('1.3.2', 'v1.3.2-0-g0000000'), 'perhaps'],
  ['CVE-2025-31133', runc('1.3.3', 'v1.3.3-0-g0000000'), 'no'],
  ['CVE-2025-31133', runc('1.4.0-rc.2', 'v1.4.0-rc.2-0-g0000000'), 'perhaps'],
  ['CVE-2025-31133', runc('1.4.0-rc.3', 'v1.4.0-rc.3-0-g0000000'), 'no'],
  ['CVE-2025-31133', runc('1.4.0', 'v1.4.0-0-g0000000'), 'no'],
  ['CVE-2025-52565', runc('1.0.0-rc2', 'v1.0.0-rc2-0-g0000000'), 'no'],
  ['CVE-2025-52565', runc('1.1.12', 'v1.1.12-0-g51d5e94'), 'perhaps'],
  ['CVE-2025-52881', runc('1.1.12', 'v1.1.12-0-g51d5e94'), 'perhaps'],
  ['CVE-2025-52881', runc('1.3.3', 'v1.3.3-0-g0000000'), 'no'],
])('%s with %j: %s', (cve, host, expected) => {
  expect(likelihood(cve, host)).toBe(expected)
})

test.each([
  ['CVE-2024-0132', '1.16.1', 'runc', 'surely'],
  ['CVE-2024-0132', '1.16.2', 'runc', 'no'],
  ['CVE-2025-23359', '1.17.3', 'runc', 'surely'],
  ['CVE-2025-23359', '1.17.4', 'runc', 'no'],
  ['CVE-2025-23266', '1.17.7', 'runc', 'perhaps'],
  ['CVE-2025-23266', '1.17.7', 'nvidia', 'surely'],
  ['CVE-2025-23266', '1.17.8', 'nvidia', 'no'],
  ['CVE-2025-23266', undefined, 'nvidia', 'no'],
])('%s with toolkit %s in the runtime %s: %s', (cve, nvidiaToolkit, runtime, expected) => {
  expect(likelihood(cve, { nvidiaToolkit }, { runtime, hasGpus: true })).toBe(expected)
})

test('what NVIDIA’s toolkit has is nothing to a host without GPUs to give', () => {
  expect(likelihood('CVE-2024-0132', { nvidiaToolkit: '1.0.0' })).toBe('no')
})

test.each([
  ['runsc', { runsc: '/usr/local/bin/runsc' }, 'no', 'no'],
  ['gvisor', { gvisor: '/usr/local/bin/runsc' }, 'no', 'no'],
  ['crun', { crun: '/usr/bin/crun' }, 'surely', 'no'],
  ['nvidia', { nvidia: 'nvidia-container-runtime' }, 'surely', 'surely'],
  ['io.containerd.runc.v2', { 'io.containerd.runc.v2': 'runc' }, 'surely', 'surely'],
])('in the runtime %s the flaws of the kernel and of runc count as they can', (runtime, runtimes, ofKernel, ofRunc) => {
  const host = { kernel: '5.16.5', runtimes, ...runc('1.1.11', 'v1.1.11-0-g4bccb38') }
  expect(likelihood('CVE-2022-0847', host, { runtime })).toBe(ofKernel)
  expect(likelihood('CVE-2024-21626', host, { runtime })).toBe(ofRunc)
})

test.each([
  [{}, { runtime: 'runc', hasGpus: false }, []],
  [runc('', ''), { runtime: 'runc', hasGpus: false }, ['runc']],
  [runc('', ''), { runtime: 'runsc', hasGpus: false }, []],
  [{}, { runtime: 'runc', hasGpus: true }, ['nvidia-container-toolkit']],
  [{ nvidiaToolkit: '1.17.8' }, { runtime: 'runc', hasGpus: true }, []],
])('what does not tell its version on %j, %j: %j', (host, executor, parts) => {
  expect(unknownParts({ facts: { ...GOOD_HOST, ...host }, ...executor })).toEqual(parts)
})
