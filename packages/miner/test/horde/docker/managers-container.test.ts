/** Tests what an executor's own container is given, and that its work fits in there. */
import { execFile } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { LARGE_FRAME_BYTES } from '@horde/protocol/frame'
import { MAX_OUTPUT_CHARACTERS } from '@horde/protocol/shorten'
import { connectValidator } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bridgeAddress, dockerManager } from '../../../src/horde/docker.ts'
import { startChain, startTestMiner } from '../../harness.ts'
import { scriptJob, untilReady } from '../../script-job.ts'

const SOCKET = '/var/run/docker.sock'
/** What a frame holds beside the input, in bytes. */
const FRAME_REST_BYTES = 1024

const run = promisify(execFile)
const docker = async (...args: string[]) => (await run('docker', args)).stdout.trim()
const owner = `test-${randomUUID()}`
const containers = async () => {
  const ids = await docker('ps', '-aq', '--no-trunc', '--filter', `label=compute-horde.miner=${owner}`)
  return ids.split('\n').filter(Boolean)
}

let network: Awaited<ReturnType<typeof startChain>>
beforeAll(async () => {
  network = await startChain()
})
afterAll(() => network[Symbol.asyncDispose]())

async function startMiner() {
  const options = { image: 'compute-horde/executor:v0', pullImage: false, engine: { socket: SOCKET }, owner }
  const manager = await dockerManager({ ...options, stopWithinMs: 10_000, clock: systemClock, log: silentLog })
  const env = { EXECUTOR_CLASS: 'always_on.test', PORT_FOR_EXECUTORS: '0', PYTHON_IMAGE: 'compute-horde/python:3.11' }
  const { chain, url: chainUrl } = network
  return startTestMiner({ chain, chainUrl, manager, addressForExecutors: await bridgeAddress(SOCKET), env })
}

/** A zip of one file that is as good as random. */
function zipOf(name: string, contents: Buffer): Buffer {
  const facts = Buffer.alloc(26)
  facts.writeUInt16LE(20, 0)
  facts.writeUInt32LE(crc32(contents), 10)
  facts.writeUInt32LE(contents.length, 14)
  facts.writeUInt32LE(contents.length, 18)
  facts.writeUInt16LE(name.length, 22)
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), facts, Buffer.from(name), contents])
  const central = Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), facts, Buffer.alloc(14), Buffer.from(name)])
  const end = Buffer.alloc(18)
  end.writeUInt16LE(1, 4)
  end.writeUInt16LE(1, 6)
  end.writeUInt32LE(central.length, 8)
  end.writeUInt32LE(local.length, 12)
  return Buffer.concat([local, central, Buffer.from('PK\x05\x06'), end])
}

it('gives an executor the engine’s socket, two volumes and nothing else', async () => {
  await using miner = await startMiner()
  await using validator = await connectValidator(miner)
  await untilReady(validator, scriptJob('import time; time.sleep(1000)', 2000))
  const [id = ''] = await containers()
  const [{ HostConfig, Mounts }] = JSON.parse(await docker('inspect', id))
  expect(HostConfig).toMatchObject({
    ReadonlyRootfs: true,
    Privileged: false,
    CapDrop: ['ALL'],
    CapAdd: null,
    SecurityOpt: ['no-new-privileges'],
    Memory: 1024 ** 3,
    MemorySwap: 1024 ** 3,
    PidsLimit: 128,
    Devices: null,
    DeviceRequests: null,
  })
  const mounts = (Mounts as Record<string, unknown>[]).map(({ Type, Destination, Source, Name }) => {
    return [Destination, Type === 'bind' ? Source : /^[0-9a-f]{64}$/.test(String(Name)) ? 'its own' : Name]
  })
  expect(mounts.sort()).toEqual([
    ['/tmp', 'its own'],
    ['/var/lib/compute-horde', 'compute-horde-executor-state'],
    ['/var/run/docker.sock', SOCKET],
  ])
  const volumes = (Mounts as { Name?: string }[]).flatMap(({ Name }) => (Name?.match(/^[0-9a-f]{64}$/) ? [Name] : []))
  await miner[Symbol.asyncDispose]()
  expect(await docker('volume', 'ls', '--quiet', '--filter', `name=${volumes[0]}`)).toBe('')
})

it('has room for the largest input and the longest output', async () => {
  await using miner = await startMiner()
  await using validator = await connectValidator(miner, undefined, ['large-frames'])
  const input = randomBytes(((LARGE_FRAME_BYTES - 10 * FRAME_REST_BYTES) / 4) * 3)
  // Text that takes two bytes a character on the way, and in memory as well.
  const script = `
import os, sys
print(os.path.getsize("/volume/input"), flush=True)
line = "\\u0416" * 511 + "\\n"
for _ in range(63 * 1024): sys.stdout.write(line)
`
  const job = scriptJob(script, 120)
  job.work.volume = { volume_type: 'inline', contents: zipOf('input', input).toString('base64') }
  await untilReady(validator, job)
  const end = await validator.next()
  expect(end).toMatchObject({ message_type: 'V0JobFinishedRequest', job_uuid: job.work.job_uuid })
  const { docker_process_stdout: stdout } = end as { docker_process_stdout: string }
  expect(stdout).toMatch(new RegExp(`^${input.length}\n`))
  expect(stdout.length).toBeGreaterThan(MAX_OUTPUT_CHARACTERS * 0.9)
})
