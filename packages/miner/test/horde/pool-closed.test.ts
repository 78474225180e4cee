/** Pools that cannot start an executor: their offers are declined at once, other pools go on. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { bad, type Finding } from '@horde/kit/check/finding'
import type { Database } from '@horde/kit/database'
import { manualClock, systemClock } from '@horde/kit/time'
import { connectExecutor } from '@horde/testing/peers/executor'
import { connectValidator, type ValidatorPeer, validatorKey } from '@horde/testing/peers/validator'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findJob } from '../../src/db/jobs.ts'
import { dockerManager } from '../../src/horde/docker.ts'
import { PROBE_MS, type ProbeResult, ProbeTimeoutError } from '../../src/horde/manager.ts'
import type { PoolSettings } from '../../src/horde/pools/pool-settings.ts'
import { AGAIN_MS } from '../../src/operator/watches/pools.ts'
import { capturedLog } from '../captured-log.ts'
import { ScriptedManager, startChain, startTestMiner, type TestMiner, temporaryFolder } from '../harness.ts'
import { offerOf } from '../messages.ts'
import { startGpulessEngine } from './docker/gpuless-engine.ts'

const run = promisify(execFile)
const docker = async (...args: string[]) => (await run('docker', args)).stdout.trim()

let stack: AsyncDisposableStack
let network: Awaited<ReturnType<typeof startChain>>
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  network = stack.use(await startChain())
})
afterAll(() => stack.disposeAsync())

function start(options: Partial<Parameters<typeof startTestMiner>[0]>): Promise<TestMiner> {
  const { env, ...more } = options
  return startTestMiner({
    ...{ chain: network.chain, chainUrl: network.url, manager: new ScriptedManager(), ...more },
    env: { EXECUTOR_CLASS: 'always_on.test', ...env },
  })
}

/** How long watches that found all well wait for their next look, in ms: the one of the database, and the others. */
const ROUNDS_MS = [30_000, 60_000]
/** How long a look may take of that, in ms. */
const LATE_MS = 10_000

/** Whether a wait is one of a watch: until its next round, less the time of the last look, or until it looks again. */
function isWatch(ms: number): boolean {
  return ms === AGAIN_MS || ROUNDS_MS.some(round => ms > round - LATE_MS && ms < round)
}

/** The machine's clock, except that watches look again only when the test says so. */
function watchClock() {
  const waits = manualClock()
  const look = () => waits.advance(Math.max(...ROUNDS_MS))
  return {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => (isWatch(ms) ? waits : systemClock).sleep(ms, signal),
    look,
    /** Makes the watches look until a question has the expected answer. */
    looking: <T>(ask: () => T | Promise<T>) =>
      expect.poll(async () => {
        await look()
        return ask()
      }),
  }
}

/** Offers a job, and returns the miner's answer. */
async function offer(
  validator: ValidatorPeer,
  executor_class = 'always_on.test',
): Promise<{ uuid: string; answer: string }> {
  const uuid = randomUUID()
  await validator.send(offerOf(uuid, { base_docker_image_name: null, executor_class }))
  return { uuid, answer: (await validator.next()).message_type }
}

async function ask(miner: TestMiner, path: string): Promise<string> {
  return (await fetch(`http://127.0.0.1:${miner.adminPort}${path}`)).text()
}

/** An image that this engine alone has, under two names: one can be taken away and given back. */
async function localImage(): Promise<{ image: string; remove(): Promise<void>; bringBack(): Promise<void> }> {
  const id = randomUUID()
  const [image, kept] = [`compute-horde-test/${id}:v0`, `compute-horde-test/${id}:kept`]
  await docker('tag', 'compute-horde/echo:v0', kept)
  await docker('tag', kept, image)
  stack.defer(() => docker('rmi', kept, image).then(() => {}))
  return {
    image,
    remove: () => docker('rmi', image).then(() => {}),
    bringBack: () => docker('tag', kept, image).then(() => {}),
  }
}

it('declines at once when its executor image is gone, and asks no registry for a local one', async () => {
  const { image, remove, bringBack } = await localImage()
  const { log, lines } = capturedLog()
  const owner = `test-${randomUUID()}`
  const engine = { socket: '/var/run/docker.sock' }
  const options = { image, pullImage: true, engine, owner, stopWithinMs: 1_000 }
  const manager = await dockerManager({ ...options, clock: systemClock, log })
  const env = { EXECUTOR_MANAGER: 'docker', EXECUTOR_IMAGE: image, PORT_FOR_EXECUTORS: '0' }
  const clock = watchClock()
  await using miner = await start({ manager, env, log, clock })
  await using validator = await connectValidator(miner)
  // The miner has seen it, and rests.
  await expect.poll(() => ask(miner, '/status.json')).toContain(`${image} is there`)
  await remove()
  const { uuid, answer } = await offer(validator)
  expect(answer).toBe('V0DeclineJobRequest')
  const stored = await findJob(miner.db, validatorKey().ss58, uuid)
  expect(stored).toMatchObject({ state: 'rejected', reason: 'executor-image-missing' })
  const health = async () => (await miner.health()).reasons.join('\n')
  await expect.poll(health).toContain(`Image: ${image} is not on the engine at unix:///var/run/docker.sock any more`)
  expect(await health()).toMatch(/To do: build it there again \(docker\/build-images.sh executor\), or .* docker load/)
  expect((await offer(validator)).answer).toBe('V0DeclineJobRequest')
  const counted = 'miner_offers_declined_total{executor_class="always_on.test",reason="executor-image-missing"} 2'
  expect(await ask(miner, '/metrics')).toContain(counted)
  expect(await ask(miner, '/metrics')).toContain('miner_pool_closed{pool="always_on.test"} 1')
  expect(await ask(miner, '/')).toContain('The image of executors was missing.')
  await expect.poll(() => lines.map(({ msg }) => msg)).toContain('pool takes no jobs until this is fixed')
  expect(lines.map(({ msg }) => msg)).not.toContain('pulling the executor image')

  await bringBack()
  await clock.looking(async () => (await miner.health()).ready).toBe(true)
  expect((await offer(validator)).answer).toBe('V0AcceptJobRequest')
})

it('closes only the pools of a host whose engine is away', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'pools.yml')
  const away = join(folder.path, 'docker.sock')
  const pools = [
    { name: 'away', class: 'always_on.test', count: 1, engine: { socket: away }, image: 'compute-horde/echo:v0' },
    { name: 'here', class: 'always_on.cpu.8c.16gb', count: 1, manager: 'process' },
  ]
  // JSON is YAML as well.
  await writeFile(file, JSON.stringify({ pools }))
  const { log, lines } = capturedLog()
  const scripted = new ScriptedManager()
  const options = { pullImage: true, owner: `test-${randomUUID()}`, stopWithinMs: 1_000, clock: systemClock, log }
  const openManager = async ({ manager, engine, image }: PoolSettings) =>
    manager === 'process' ? scripted : await dockerManager({ ...options, image, engine })
  const env = { EXECUTOR_MANAGER: 'docker', POOLS_FILE: file, PORT_FOR_EXECUTORS: '0' }
  await using miner = await start({ openManager, env, log, isAwaited: false })
  await using validator = await connectValidator(miner)
  expect((await offer(validator)).answer).toBe('V0DeclineJobRequest')
  expect(lines).toContainEqual(expect.objectContaining({ msg: 'job moved', to: 'rejected', reason: 'engine-away' }))
  const closed = async () => (await ask(miner, '/metrics')).match(/^miner_pool_closed.*$/gm)
  await expect.poll(closed).toEqual(['miner_pool_closed{pool="away"} 1', 'miner_pool_closed{pool="here"} 0'])
  expect((await offer(validator, 'always_on.cpu.8c.16gb')).answer).toBe('V0AcceptJobRequest')
})

describe('a pool of a class with GPUs on an engine without any', () => {
  const GPU_CLASS = 'always_on.gpu-24gb'
  const image = 'compute-horde/echo:v0'
  let engine: Awaited<ReturnType<typeof startGpulessEngine>>
  beforeAll(async () => {
    engine = await startGpulessEngine(image)
  })
  afterAll(() => engine?.[Symbol.asyncDispose]())

  async function startOnEngine(env: Record<string, string> = {}, clock = watchClock()) {
    const owner = `test-${randomUUID()}`
    const options = { pullImage: false, engine: { socket: engine.socket }, owner, stopWithinMs: 1_000 }
    const manager = await dockerManager({ ...options, image, clock: systemClock, log: capturedLog().log })
    const base = { EXECUTOR_MANAGER: 'docker', DOCKER_SOCKET: engine.socket, EXECUTOR_CLASS: GPU_CLASS }
    return start({ manager, env: { ...base, PORT_FOR_EXECUTORS: '0', ...env }, clock, isAwaited: false })
  }
  async function manifest(miner: TestMiner) {
    await using validator = await connectValidator(miner, validatorKey(), ['manifest'])
    const message = await validator.next()
    return 'manifest' in message ? message.manifest.executor_classes : message
  }

  it('is not in the manifest, and declines', async () => {
    const clock = watchClock()
    await using miner = await startOnEngine({}, clock)
    const found = `Class: pool ${GPU_CLASS} is of the class ${GPU_CLASS}, and the engine offers no GPUs`
    const health = () => miner.health()
    await expect.poll(async () => (await health()).reasons.join('\n')).toContain(found)
    await clock.looking(async () => (await health()).ready).toBe(false)
    await expect.poll(() => manifest(miner)).toEqual([])
    await using validator = await connectValidator(miner)
    const { uuid, answer } = await offer(validator, GPU_CLASS)
    expect(answer).toBe('V0DeclineJobRequest')
    expect(await findJob(miner.db, validatorKey().ss58, uuid)).toMatchObject({ reason: 'class-mismatch' })
    expect(await ask(miner, '/metrics')).toContain(`miner_pool_closed{pool="${GPU_CLASS}"} 1`)
  })

  it('takes offers with CLASS_MISMATCH=warn', async () => {
    await using miner = await startOnEngine({ CLASS_MISMATCH: 'warn' })
    await expect.poll(async () => (await miner.health()).reasons.join('\n')).toContain('the engine offers no GPUs')
    expect(await miner.health()).toMatchObject({ ready: true })
    expect(await manifest(miner)).toEqual([{ executor_class: GPU_CLASS, count: 1 }])
    await using validator = await connectValidator(miner)
    expect((await offer(validator, GPU_CLASS)).answer).toBe('V0AcceptJobRequest')
  })
})

describe('a pool whose GPUs do not match its class is not in the manifest', () => {
  const isMissing = async (miner: TestMiner) => {
    await using validator = await connectValidator(miner, validatorKey(), ['manifest'])
    const message = await validator.next()
    return 'manifest' in message && message.manifest.executor_classes.length === 0
  }
  const probeResult = { exitCode: 0, output: '0, GPU-a, NVIDIA GeForce RTX 3060, 0, 12288\n' }
  const env = { EXECUTOR_CLASS: 'always_on.gpu-24gb' }

  it('while its disk or engine closes it, too', async () => {
    const look = async () => [bad('engine', 'Docker is away', 'start it')]
    const manager = Object.assign(new ScriptedManager(), { look, probe: async () => probeResult })
    const clock = watchClock()
    await using miner = await start({ manager, env, clock, isAwaited: false })
    await expect.poll(async () => (await miner.health()).reasons.join()).toContain('Class: pool')
    await clock.looking(() => isMissing(miner)).toBe(true)
    expect(await ask(miner, '/status.json')).toContain('engine-away')
  })

  it('while its GPUs cannot be looked at, or give no answer', async () => {
    let probe = async (): Promise<ProbeResult> => probeResult
    const manager = Object.assign(new ScriptedManager(), { probe: () => probe() })
    const clock = watchClock()
    await using miner = await start({ manager, env, clock, isAwaited: false })
    await clock.looking(() => isMissing(miner)).toBe(true)
    probe = () => Promise.reject(new Error('the engine is away'))
    await clock.looking(async () => (await miner.health()).reasons.join()).toContain('the engine is away')
    expect(await isMissing(miner)).toBe(true)
    probe = () => Promise.reject(new ProbeTimeoutError(`nvidia-smi: not done within ${PROBE_MS} ms`))
    await clock.looking(async () => (await miner.health()).reasons.join()).toContain('nvidia-smi gave no answer')
    expect(await isMissing(miner)).toBe(true)
  })
})

it('closes the pools that write to a disk with too little space', async () => {
  await using folder = await temporaryFolder()
  const { log, lines } = capturedLog()
  const env = { DISK_FULL_BYTES: String(Number.MAX_SAFE_INTEGER) }
  const databaseUrl = `pglite://${folder.path}/db`
  await using miner = await start({ env, log, databaseUrl, isAwaited: false })
  await expect.poll(async () => (await miner.health()).reasons.join()).toContain('make room')
  await using validator = await connectValidator(miner)
  expect((await offer(validator)).answer).toBe('V0DeclineJobRequest')
  expect(lines).toContainEqual(expect.objectContaining({ msg: 'job moved', to: 'rejected', reason: 'disk-full' }))
  expect(await ask(miner, '/status')).toContain('The disk that jobs are written to was full.')
})

it("closes a pool by what an operator's manager finds, keeps running jobs, and opens it again", async () => {
  const findings: Finding[] = []
  const manager = Object.assign(new ScriptedManager(), { look: async () => findings })
  const clock = watchClock()
  await using miner = await start({ manager, env: { EXECUTOR_COUNT: '2' }, clock })
  await using validator = await connectValidator(miner)
  const { uuid } = await offer(validator)
  const executor = await connectExecutor(await manager.order(), manager)

  findings.push(bad('rack', 'is on fire', 'put it out'))
  await clock.look()
  await expect.poll(async () => (await miner.health()).reasons).toContain('Rack: is on fire. To do: put it out.')
  expect((await offer(validator)).answer).toBe('V0DeclineJobRequest')
  expect(await ask(miner, '/metrics')).toContain('reason="host-unwell"} 1')
  await executor.send({ message_type: 'V0ReadyRequest', job_uuid: uuid as never })
  expect(await validator.next()).toMatchObject({ message_type: 'V0ExecutorReadyRequest', job_uuid: uuid })

  findings.length = 0
  await clock.looking(async () => (await miner.health()).ready).toBe(true)
  expect((await offer(validator)).answer).toBe('V0AcceptJobRequest')
})

it('declines offers without a query while the database does not answer', async () => {
  let isAway = false
  const disturb = (db: Database): Database =>
    new Proxy(db, {
      get(target, key) {
        if (!isAway || !['select', 'insert', 'update', 'execute'].includes(String(key))) return Reflect.get(target, key)
        return () => {
          throw new Error('the database is away')
        }
      },
    })
  const clock = watchClock()
  await using miner = await start({ disturb, clock })
  await using validator = await connectValidator(miner)
  isAway = true
  await clock.looking(async () => (await miner.health()).reasons.join()).toContain('Database: does not answer')
  expect((await offer(validator)).answer).toBe('V0DeclineJobRequest')
  expect(await ask(miner, '/metrics')).toContain('reason="database-away"} 1')
  isAway = false
  await clock.looking(async () => (await miner.health()).ready).toBe(true)
  expect((await offer(validator)).answer).toBe('V0AcceptJobRequest')
})
