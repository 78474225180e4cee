import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { ALGORITHMS, hashcatBenchmark, makeChallenge } from '../src/benchmarks/hashcat.ts'

const run = promisify(execFile)
const IMAGE = 'compute-horde/hashcat:v0'

/** A sandbox as executors make it: no network, nothing writable but /tmp, no rights. */
const SANDBOX = [
  ...['run', '--rm', '--network', 'none', '--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL'],
  ...['--security-opt', 'no-new-privileges', '--memory', '2g', '--pids-limit', '256'],
]

it.each(ALGORITHMS)('cracks $name (mode $mode) with the job image', { timeout: 120_000 }, async algorithm => {
  const challenge = makeChallenge({ ...algorithm, passwordLength: 2 })
  const benchmark = hashcatBenchmark(challenge, IMAGE)
  const { stdout } = await run('docker', [...SANDBOX, benchmark.image, ...benchmark.command])
  expect(stdout.trim()).toBe(challenge.password)
  expect(benchmark.isRight(stdout)).toBe(true)
})
