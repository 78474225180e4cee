/** The hours between what was prepared ahead and its offer, on a clock that is moved by hand. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { readSettings } from '@horde/kit/config'
import { createLog } from '@horde/kit/log'
import { type ManualClock, manualClock } from '@horde/kit/time'
import { EXECUTOR_LABEL } from '@horde/protocol/executor-labels'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { settings } from '../src/config.ts'
import { Engine } from '../src/engine/container.ts'
import { identityText, ownIdentity } from '../src/engine/identity.ts'
import { openStateFolder } from '../src/host/state-folder.ts'
import { PreparedAhead } from '../src/prepare-ahead.ts'
import { CountingEngine } from './counting-engine.ts'
import { engine as machinesEngine } from './engine.ts'

const MINUTE_MS = 60_000
const LABEL = `${EXECUTOR_LABEL}=${identityText(ownIdentity())}`
const REQUIRED = { MINER_ADDRESS: 'ws://127.0.0.1:1', EXECUTOR_TOKEN: 'token' }
const NOT_PREPARED = 'could not prepare ahead of the offer; it is tried again'
const ANEW = 'what was prepared ahead is gone, or its engine was restarted; it is made anew'
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

/** Begins on the test's engine. */
async function begin(env: Record<string, string> = {}): Promise<PreparedAhead> {
  const log = createLog('test', { destination, level: 'debug' })
  const state = await openStateFolder(join(folder, 'state'), log)
  const own = readSettings(settings, { ...REQUIRED, ...env })
  const ahead = new PreparedAhead({ engine: clientOf(engine), settings: own, self: ownIdentity(), state, clock, log })
  await pass(0)
  return ahead
}

/** The client looks into the environment when it is made. */
function clientOf({ dockerHost }: CountingEngine): Engine {
  const before = process.env.DOCKER_HOST
  process.env.DOCKER_HOST = dockerHost
  const client = new Engine()
  if (before === undefined) delete process.env.DOCKER_HOST
  else process.env.DOCKER_HOST = before
  return client
}

/** Lets time pass, to the end of what is done then. */
async function pass(ms: number): Promise<void> {
  await clock.whenSleeping()
  await clock.advance(ms)
  await clock.whenSleeping()
}

async function things(): Promise<{ containers: string[]; volumes: string[] }> {
  const [containers, volumes] = [await machinesEngine.containersWith(LABEL), await machinesEngine.volumesWith(LABEL)]
  return { containers: containers.map(({ id }) => id), volumes: volumes.map(({ id }) => id).sort() }
}

/** What was said at a level of preparing ahead, and not of the host. */
function said(level: string): string[] {
  const ours = lines.filter(line => line.level === level && [PREPARED, NOT_PREPARED, ANEW].includes(line.msg))
  return ours.map(({ msg }) => msg)
}

test('what is lost is made anew before there is an offer, and what is whole is left alone', async () => {
  await engine.listen()
  await using ahead = await begin()
  const first = await things()
  expect([first.containers.length, first.volumes.length]).toEqual([1, 4])
  for (let minute = 0; minute < 5; minute += 1) await pass(MINUTE_MS)
  expect(await things()).toEqual(first)
  expect(said('info')).toEqual([PREPARED])
  await machinesEngine.removeContainer(first.containers[0] ?? '')
  await pass(MINUTE_MS)
  expect(said('info')).toEqual([PREPARED, ANEW, PREPARED])
  await ahead[Symbol.asyncDispose]()
  expect(await things()).toEqual({ containers: [], volumes: [] })
})

test('what is taken is the caller’s, and the rest of its things bear the job', async () => {
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

test('the host is looked at again before what is known of it is too old, for hours', async () => {
  await engine.listen()
  await using ahead = await begin({ HOST_CHECK_MAX_AGE_SECONDS: '600' })
  expect(engine.questions).toBe(1)
  for (let minute = 0; minute < 180; minute += 1) await pass(MINUTE_MS)
  expect(engine.questions).toBe(1 + 180 / 5)
  expect(await ahead.host()).toMatchObject({ gpus: undefined, facts: { machine: expect.any(String) } })
})

test('what is known of the host is not used when it is too old', async () => {
  await engine.listen()
  await using ahead = await begin({ HOST_CHECK_MAX_AGE_SECONDS: '30' })
  await clock.advance(29_999)
  expect(await ahead.host()).toBeDefined()
  await clock.advance(1)
  expect(await ahead.host()).toBeUndefined()
})

test('nor when the engine was restarted, as far as that can be seen', async () => {
  await engine.listen()
  await using ahead = await begin()
  await engine[Symbol.asyncDispose]()
  await engine.listen()
  expect(await ahead.host()).toBeUndefined()
})

test('an engine that is away is told once, and asked again every minute', async () => {
  await using ahead = await begin()
  for (let minute = 0; minute < 10; minute += 1) await pass(MINUTE_MS)
  expect(said('warn')).toEqual([NOT_PREPARED])
  expect(said('debug')).toEqual(Array.from({ length: 10 }, () => NOT_PREPARED))
  expect(await things()).toEqual({ containers: [], volumes: [] })
  await engine.listen()
  await pass(MINUTE_MS)
  expect(said('info')).toEqual([PREPARED])
  await engine[Symbol.asyncDispose]()
  await pass(MINUTE_MS)
  await engine.listen()
  await pass(MINUTE_MS)
  expect([said('warn'), said('info')]).toEqual([[NOT_PREPARED, NOT_PREPARED], [PREPARED]])
  expect(await ahead.host()).toBeDefined()
})

test('a job that is offered at once finds nothing made, and nothing is made after it', async () => {
  await engine.listen()
  const log = createLog('test', { destination, level: 'debug' })
  const state = await openStateFolder(undefined, log)
  const own = readSettings(settings, REQUIRED)
  const ahead = new PreparedAhead({ engine: clientOf(engine), settings: own, self: ownIdentity(), state, clock, log })
  expect([await ahead.host(), await ahead.takeWorkspace('a-job')]).toEqual([undefined, undefined])
  expect([engine.questions, clock.sleeping]).toEqual([0, 0])
})
