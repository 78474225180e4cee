import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { jobVolume } from '@horde/testing/jobs/job-volume'
import { expect, it } from 'vitest'
import { ALGORITHMS, hashcatBenchmark } from '../../src/benchmarks/hashcat.ts'
import { hashcatListBenchmark } from '../../src/benchmarks/hashcat-list.ts'

const run = promisify(execFile)
const IMAGE = 'compute-horde/hashcat:v0'

/** The sandbox that executors use: no network, only /tmp writable, no capabilities. */
const SANDBOX = [
  ...['run', '--rm', '--network', 'none', '--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL'],
  ...['--security-opt', 'no-new-privileges', '--memory', '2g', '--pids-limit', '256'],
]

it.each(ALGORITHMS)('cracks $name (mode $mode) with the job image', async algorithm => {
  const benchmark = hashcatBenchmark([{ ...algorithm, passwordLength: 2 }], IMAGE)
  const { image, command, challenge } = await benchmark.prepare(0)
  const { stdout, stderr } = await run('docker', [...SANDBOX, image, ...command])
  expect(stdout.trim()).toBe(challenge.password)
  expect(benchmark.verify(challenge, { stdout, stderr })).toMatchObject({ score: 1 })
})

it.each(ALGORITHMS)('cracks a list of $name (mode $mode) with the job image', async algorithm => {
  const benchmark = hashcatListBenchmark([{ ...algorithm, passwordLength: 2 }], IMAGE)
  const { image, command, input, challenge } = await benchmark.prepare(0)
  await using volume = await jobVolume(input)
  const mounted = ['--mount', `type=bind,source=${volume.path},target=/volume,readonly`]
  const { stdout, stderr } = await run('docker', [...SANDBOX, ...mounted, image, ...command])
  expect(benchmark.verify(challenge, { stdout, stderr })).toMatchObject({ score: 1 })
  expect(stdout.length).toBeLessThan(1_000)
})
