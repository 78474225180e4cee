/** Short containers that look at the host of a pool, through its engine. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { dockerManager } from '../src/horde/docker.ts'
import type { ExecutorManager } from '../src/horde/manager.ts'
import { roomOf } from '../src/operator/watches/disks.ts'

const owner = `test-${randomUUID()}`
let manager: ExecutorManager
beforeAll(async () => {
  const engine = { socket: '/var/run/docker.sock' }
  const options = { image: 'compute-horde/executor:v0', pullImage: false, engine, owner, stopWithinMs: 1_000 }
  manager = await dockerManager({ ...options, clock: systemClock, log: silentLog })
})
afterAll(() => manager.close?.())

it("tells how full the engine's disk is, and leaves no container", async () => {
  const result = await manager.probe?.({ command: ['df', '-Pk', '/tmp'], gpus: [] })
  expect(result).toMatchObject({ exitCode: 0 })
  expect(roomOf((result as { output: string }).output)).toMatchObject({ total: expect.any(Number) })
  const left = await promisify(execFile)('docker', ['ps', '-aq', '--filter', `label=compute-horde.miner=${owner}`])
  expect(left.stdout).toBe('')
})

it('tells that the image lacks the program, and that the engine does not offer GPUs', async () => {
  expect(await manager.probe?.({ command: ['no-such-program'], gpus: [] })).toEqual({ missing: true })
  expect(await manager.probe?.({ command: ['true'], gpus: ['0'] })).toEqual({
    refused: expect.stringContaining('could not select device driver'),
  })
})
