/** A job in a runtime that the operator chose: here a program that records its arguments and runs runc. */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { result } from '@horde/testing/jobs/executor-job'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { PrivateEngine } from '@horde/testing/private-engine'
import { expect, test } from 'vitest'

test('runs a job in the runtime that the setting names', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'runtime-'))
  const [program, notes] = [join(folder, 'noting'), join(folder, 'notes')]
  await writeFile(notes, '')
  await writeFile(program, `#!/bin/sh\necho "$@" >>${notes}\nexec runc "$@"\n`)
  await chmod(program, 0o755)
  await using miner = await TestMiner.start()
  await using engine = await PrivateEngine.start({ settings: { runtimes: { noting: { path: program } } } })
  await engine.load('compute-horde/echo:v0')
  const files = { 'payload.txt': 'computed' }
  const started = async (env: Record<string, string>) => {
    const before = (await readFile(notes, 'utf8')).length
    const answer = await result(miner, { files }, { DOCKER_HOST: engine.dockerHost, ...env })
    expect(answer.docker_process_stdout).toBe('computed')
    return (await readFile(notes, 'utf8')).slice(before).match(/ start [0-9a-f]{64}$/gm)?.length ?? 0
  }
  expect(await started({})).toBe(0)
  // The job alone: what keeps its folders runs nothing of a stranger's.
  expect(await started({ RUNTIME: 'noting' })).toBe(1)
  await rm(folder, { recursive: true })
})
