import { expect, test } from 'vitest'
import { GOOD_HOST } from '../../test/host/good-host.ts'
import type { HostFacts } from './host-facts.ts'
import { judgeHost } from './judge-host.ts'

function judge(host: Partial<HostFacts> = {}, runtime = 'runc', refusesEscapes = true) {
  return judgeHost({ facts: { ...GOOD_HOST, ...host }, runtime, hasGpus: false, refusesEscapes })
}

test('a good host is good in everything', () => {
  expect(judge().map(({ verdict, subject }) => `${verdict} ${subject}`)).toEqual([
    'ok engine',
    'ok kernel',
    'ok runtime',
    'ok limits',
    'ok swap',
    'ok seccomp',
    'ok network',
    'ok users',
    'ok escapes',
  ])
})

test.each<[string, Partial<HostFacts>, string, 'bad' | 'warn' | 'ok', RegExp]>([
  ['engine', { apiVersion: '1.40', version: '19.03.15' }, '19.03.15, API 1.40', 'bad', /20\.10 or newer/],
  ['engine', { apiVersion: '' }, 'does not tell', 'warn', /^$/],
  ['engine', { system: 'windows' }, 'windows', 'bad', /Linux containers/],
  ['limits', { missingLimits: ['memory', 'pids'] }, 'memory, pids', 'bad', /controllers/],
  ['limits', { missingLimits: ['cpus'], isRootless: true, cgroupVersion: '1' }, 'cpus', 'bad', /needs cgroup v2/],
  ['swap', { hasSwapLimit: false, swapBytes: 4096 }, '4096 bytes', 'bad', /swapaccount=1/],
  ['swap', { hasSwapLimit: false, swapBytes: undefined }, 'not known', 'warn', /swapaccount=1/],
  ['seccomp', { seccompProfile: undefined }, 'no profile', 'bad', /seccomp-profile/],
  ['network', { apiVersion: '1.41', seccompProfile: 'default' }, 'vsock', 'warn', /Docker 23/],
  ['network', { apiVersion: '1.41', seccompProfile: '/own.json' }, 'jobs have none', 'ok', /^$/],
  [
    'escapes',
    { runc: { version: '1.1.11', build: 'v1.1.11-0-g4bccb38' } },
    'CVE-2024-21626',
    'bad',
    /runc to 1\.1\.12/,
  ],
  ['escapes', { runc: { version: '1.1.7', build: '1.1.7-0ubuntu1' } }, 'perhaps CVE-2024-21626', 'warn', /runc to 1/],
  ['runc', { runc: { version: '', build: '' } }, 'cannot be seen', 'warn', /yourself/],
])('%s on %j', (subject, host, found, verdict, advice) => {
  const finding = judge(host).find(each => each.subject === subject && each.found.includes(found))
  expect(finding).toMatchObject({ verdict, advice: expect.stringMatching(advice) })
})

test.each<[Partial<HostFacts>, boolean, 'ok' | 'warn' | undefined, string]>([
  [{ linksGpuNodes: false }, true, 'warn', 'have "nvidia-ctk system create-dev-char-symlinks'],
  [{ linksGpuNodes: undefined }, true, 'warn', 'unless that is done already'],
  [{ linksGpuNodes: true }, true, 'ok', ''],
  [{ linksGpuNodes: false }, false, undefined, ''],
  [{ linksGpuNodes: false, cgroupDriver: 'cgroupfs' }, true, undefined, ''],
])('a reload of systemd and GPUs, with %j', (host, hasGpus, verdict, advice) => {
  const facts = { ...GOOD_HOST, nvidiaToolkit: '1.18.0', ...host }
  const found = judgeHost({ facts, runtime: 'runc', hasGpus, refusesEscapes: true })
  const finding = found.find(({ subject }) => subject === 'gpus')
  expect(finding?.verdict).toBe(verdict)
  expect(finding?.advice ?? '').toContain(advice)
})

test('without a limit for swap, a host that has none is good', () => {
  expect(judge({ hasSwapLimit: false }).find(({ subject }) => subject === 'swap')?.verdict).toBe('ok')
})

test('an operator may run jobs in spite of a known escape, and is warned', () => {
  const findings = judge({ kernel: '5.16.5' }, 'runc', false)
  expect(findings.find(({ subject }) => subject === 'escapes')).toMatchObject({ verdict: 'warn' })
  expect(findings.some(({ verdict }) => verdict === 'bad')).toBe(false)
})

test('a runtime that is named by its shim', () => {
  expect(judge({}, 'io.containerd.runsc.v1').find(({ subject }) => subject === 'runtime')?.verdict).toBe('ok')
})

test('a runtime that the engine does not have', () => {
  expect(judge({}, 'runsc').find(({ subject }) => subject === 'runtime')).toMatchObject({
    verdict: 'bad',
    advice: expect.stringContaining('one of runc'),
  })
})
