import { readSettings } from '@horde/kit/config'
import { expect, test } from 'vitest'
import { GOOD_HOST } from '../../test/host/good-host.ts'
import { hostSettings } from '../config.ts'
import { jobLimits } from '../job/job-limits.ts'
import { inForce } from './in-force.ts'

const limitsOf = (env: Record<string, string>, host = {}) => {
  const facts = { ...GOOD_HOST, ...host }
  return inForce(facts, jobLimits(readSettings(hostSettings, env), facts))
}

test('lists the limits of a job by default', () => {
  expect(limitsOf({})).toMatchInlineSnapshot(`
    {
      "cgroups": "v2",
      "cpus": 8,
      "engine": "28.5.2",
      "filesPerFolder": 100000,
      "mandatoryAccess": "none",
      "memoryBytes": 12884901888,
      "openFiles": 16384,
      "output": "in memory up to 2151579648",
      "pids": 1024,
      "root": "read-only",
      "rootless": false,
      "runtime": "runc",
      "seccomp": "builtin",
      "shmBytes": 268435456,
      "tmpBytes": 1073741824,
      "userNamespaces": false,
      "volume": "read-only",
    }
  `)
})

test('names the weaker modes', () => {
  const env = { WRITABLE_ROOT: 'true', ROOT_MAX_SIZE_BYTES: '5000000', WRITABLE_VOLUME: 'true', RUNTIME: 'runsc' }
  const host = { cgroupVersion: '1', hasUserNamespaces: true, isRootless: true, mandatoryAccess: 'apparmor' }
  expect(limitsOf(env, host)).toMatchObject({
    root: 'writable, watched up to 5000000',
    volume: expect.stringMatching(/^in memory up to \d+$/),
    runtime: 'runsc',
    cgroups: 'v1',
    userNamespaces: true,
    rootless: true,
    mandatoryAccess: 'apparmor',
  })
})
