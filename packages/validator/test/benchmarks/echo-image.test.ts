import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { jobVolume } from '@horde/testing/jobs/job-volume'
import { expect, it } from 'vitest'
import { echoBenchmark } from '../../src/benchmarks/echo.ts'

const run = promisify(execFile)

it('the echo image prints the input of the benchmark', async () => {
  const benchmark = echoBenchmark({ image: 'compute-horde/echo:v0', timeoutSeconds: 30, referenceSeconds: 2 })
  const { image, command, input, challenge } = await benchmark.prepare(0)
  await using volume = await jobVolume(input)
  const args = ['run', '--rm', '--network', 'none', '-v', `${volume.path}:/volume:ro`, image, ...command]
  const { stdout, stderr } = await run('docker', args)
  expect(benchmark.verify(challenge, { stdout, stderr })).toMatchObject({ score: 1 })
})
