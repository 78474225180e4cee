/** What happens between preparing ahead and the offer, hours later, on a manual clock. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { connectDefaultEngine } from '@horde/engine/connect'
import type { Engine } from '@horde/engine/engine'
import { readSettings } from '@horde/kit/config'
import { createLog } from '@horde/kit/log'
import { type ManualClock, manualClock } from '@horde/kit/time'
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { settings } from '../../src/config.ts'
import { openStateFolder } from '../../src/host/state-folder.ts'
import { PreparedAhead } from '../../src/job/prepare-ahead.ts'
import { identityText, ownIdentity } from '../../src/workspace/identity.ts'
import { CountingEngine } from '../container/counting-engine.ts'
import { engine as machinesEngine } from '../engine.ts'

const MINUTE_MS = 60_000
const LABEL = `${EXECUTOR_LABEL}=${identityText(ownIdentity())}`
const REQUIRED = { MINER_ADDRESS: 'ws://127.0.0.1:1', EXECUTOR_TOKEN: 'token' }
const NOT_PREPARED = 'could not prepare ahead of the offer, trying again'
const ANEW = 'the workspace prepared ahead is incomplete, making it again'
const PREPARED = 'prepared ahead of the offer'

let folder: string
let engine: CountingEngine
let clock: ManualClock
let lines: { level: string; msg: string }[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prepare-ahead-'))
  engine = new CountingEngine(folder)
  clock = manualClock(Date.now())
  lines = []
})
afterEach(async () => {
  await engine[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

const destination = new Writable({
  write: (chunk, _, done) => {
    lines.push(JSON.parse(chunk))
    done()
  },
})

/** Begins to prepare ahead on the test's engine. */
async function begin(env: Record<string, string> = {}): Promise<PreparedAhead> {
  const log = createLog('test', { destination, level: 'debug' })
  const state = await openStateFolder(join(folder, 'state'), log)
  const own = readSettings(settings, { ...REQUIRED, ...env })
  const ahead = new PreparedAhead({
    engine: await clientOf(engine),
    settings: own,
    self: ownIdentity(),
    state,
    clock,
    log,
  })
  await pass(0)
  return ahead
}

/** The client reads DOCKER_HOST when it is made. */
async function clientOf({ dockerHost }: CountingEngine): Promise<Engine> {
  const before = process.env.DOCKER_HOST
  process.env.DOCKER_HOST = dockerHost
  const client = await connectDefaultEngine()
  if (before === undefined) delete process.env.DOCKER_HOST
  else process.env.DOCKER_HOST = before
  return client
}

/** Advances the clock and waits until the work of that time is done. */
async function pass(ms: number): Promise<void> {
  await clock.whenSleeping()
  await clock.advance(ms)
  await clock.whenSleeping()
}

async function things(): Promise<{ containers: string[]; volumes: string[] }> {
  const [containers, volumes] = [
    await machinesEngine.containers.withLabel(LABEL),
    await machinesEngine.volumes.withLabel(LABEL),
  ]
  return { containers: containers.map(({ id }) => id), volumes: volumes.map(({ name }) => name).sort() }
}

/** The log lines of a level about preparing ahead, without those about the host. */
function logged(level: string): string[] {
  const ours = lines.filter(line => line.level === level && [PREPARED, NOT_PREPARED, ANEW].includes(line.msg))
  return ours.map(({ msg }) => msg)
}

test('makes a lost workspace again before the offer, and leaves a complete one alone', async () => {
  await engine.listen()
  await using ahead = await begin()
  const first = await things()
  expect([first.containers.length, first.volumes.length]).toEqual([1, 4])
  for (let minute = 0; minute < 5; minute += 1) await pass(MINUTE_MS)
  expect(await things()).toEqual(first)
  expect(logged('info')).toEqual([PREPARED])
  await machinesEngine.containers.remove(first.containers[0] ?? '')
  await pass(MINUTE_MS)
  expect(logged('info')).toEqual([PREPARED, ANEW, PREPARED])
  await ahead[Symbol.asyncDispose]()
  expect(await things()).toEqual({ containers: [], volumes: [] })
})

test('hands the workspace over, and labels its later things with the job', async () => {
  await engine.listen()
  await using ahead = await begin()
  const workspace = await ahead.takeWorkspace('a-job')
  expect(workspace?.labels).toMatchObject({ 'compute-horde.job': 'a-job' })
  expect(await ahead.takeWorkspace('another')).toBeUndefined()
  await ahead[Symbol.asyncDispose]()
  expect((await things()).containers).toHaveLength(1)
  await workspace?.[Symbol.asyncDispose]()
  expect(await things()).toEqual({ containers: [], volumes: [] })
})

test('checks the host again before its check is too old, for hours', async () => {
  await engine.listen()
  await using ahead = await begin({ HOST_CHECK_MAX_AGE_SECONDS: '600' })
  expect(engine.questions).toBe(1)
  for (let minute = 0; minute < 180; minute += 1) await pass(MINUTE_MS)
  expect(engine.questions).toBe(1 + 180 / 5)
  expect(await ahead.host()).toMatchObject({ gpus: undefined, facts: { machine: expect.any(String) } })
})

test('does not use a check of the host that is too old', async () => {
  await engine.listen()
  await using ahead = await begin({ HOST_CHECK_MAX_AGE_SECONDS: '30' })
  await clock.advance(29_999)
  expect(await ahead.host()).toBeDefined()
  await clock.advance(1)
  expect(await ahead.host()).toBeUndefined()
})

test('does not use a check of the host from before a restart of the engine', async () => {
  await engine.listen()
  await using ahead = await begin()
  await engine[Symbol.asyncDispose]()
  await engine.listen()
  expect(await ahead.host()).toBeUndefined()
})

test('warns once about an engine that is away, and tries again every minute', async () => {
  await using ahead = await begin()
  for (let minute = 0; minute < 10; minute += 1) await pass(MINUTE_MS)
  expect(logged('warn')).toEqual([NOT_PREPARED])
  expect(logged('debug')).toEqual(Array.from({ length: 10 }, () => NOT_PREPARED))
  expect(await things()).toEqual({ containers: [], volumes: [] })
  await engine.listen()
  await pass(MINUTE_MS)
  expect(logged('info')).toEqual([PREPARED])
  await engine[Symbol.asyncDispose]()
  await pass(MINUTE_MS)
  await engine.listen()
  await pass(MINUTE_MS)
  expect([logged('warn'), logged('info')]).toEqual([[NOT_PREPARED, NOT_PREPARED], [PREPARED]])
  expect(await ahead.host()).toBeDefined()
})

test('prepares nothing more after an immediate offer', async () => {
  await engine.listen()
  const log = createLog('test', { destination, level: 'debug' })
  const state = await openStateFolder(undefined, log)
  const own = readSettings(settings, REQUIRED)
  const ahead = new PreparedAhead({
    engine: await clientOf(engine),
    settings: own,
    self: ownIdentity(),
    state,
    clock,
    log,
  })
  expect([await ahead.host(), await ahead.takeWorkspace('a-job')]).toEqual([undefined, undefined])
  expect([engine.questions, clock.sleeping]).toEqual([0, 0])
})
