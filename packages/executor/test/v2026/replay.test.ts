/**
 * Replays the recorded conversations of a Python executor of January 2026 with its miner: ours says the same frames in
 * the same order, but for the table of deliberate differences.
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { PYTHON } from '@horde/testing/jobs/executor-job'
import { TestWeb } from '@horde/testing/peers/http-target'
import { type TestExecutor, TestMiner } from '@horde/testing/peers/miner-for-executors'
import { type RawConnection, RawMiner } from '@horde/testing/peers/raw-miner'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { untilRunning } from '../container/running.ts'
import recording from '../fixtures/python-executor-2026.json' with { type: 'json' }
import table from '../fixtures/python-executor-2026-differences.json' with { type: 'json' }

/** Seconds since the beginning, then what happened. */
type Event = [number, string, ...unknown[]]
type Frame = Record<string, unknown>

const CONVERSATIONS = Object.entries(recording.traces as unknown as Record<string, Event[]>)
/** The conversation that is about the startup limit has it as recorded, in seconds. */
const STARTUP: Record<string, string> = { 'miner says nothing (startup limit 3 s)': '3' }
/** The recorded limits are of a job without a container. Where a limit is the subject, it stays. */
const LIMIT_IS_SUBJECT = 'work never comes (leeway 1 + download 2)'
const AMPLE_FACTOR = 50
/** Prints what the recorded job did, and waits where the miner is to leave meanwhile. */
const PRINT = 'print("out")'
const WAIT = 'import os, time\nwhile not os.path.exists("/tmp/go"): time.sleep(0.02)\n'
const LOST = 'connection lost while the job runs'

let miner: RawMiner
let spawner: TestMiner
let web: TestWeb
beforeAll(async () => {
  miner = await RawMiner.start()
  spawner = await TestMiner.start()
  web = await TestWeb.start(() => {})
})
afterAll(async () => {
  await web[Symbol.asyncDispose]()
  await spawner[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
})

/** One conversation while it is replayed. */
class Replay {
  readonly #name: string
  readonly #jobUuid = randomUUID()
  readonly #executor: TestExecutor
  #connection: RawConnection | undefined
  #connections = 0

  constructor(name: string) {
    this.#name = name
    const env = { MINER_ADDRESS: miner.url, ALLOW_PRIVATE_TARGETS: 'true', RECONNECT_DELAY_SECONDS: '0.05' }
    const args = ['manage.py', 'run_executor', '--startup-time-limit', STARTUP[name] ?? '300']
    this.#executor = spawner.spawn(env, undefined, args)
  }

  async play([, what, detail]: Event): Promise<void> {
    if (what.startsWith('conn')) return this.#connect(what)
    if (what === 'M') return this.#connection?.sendFrame(this.#adapted(String(detail)))
    if (what === 'E') return this.#expect(JSON.parse(String(detail)))
    if (what.startsWith('closed')) return this.#close(Number(detail))
    if (what.startsWith('executor ends')) expect(await this.#executor.exit()).toBe(0)
    else if (what.startsWith('executor dies')) expect(await this.#executor.exit()).not.toBe(0)
  }

  async #connect(name: string): Promise<void> {
    this.#connection = await miner.arrival(this.#executor)
    this.#connections += 1
    for (const { repeated } of differencesOf(this.#name).filter(({ after }) => after === name)) {
      expect(await this.#connection.receive()).toEqual({ message_type: repeated, job_uuid: this.#jobUuid })
    }
    if (this.#name === LOST && this.#connections > 1) {
      const touch = ['exec', '--detach', await untilRunning({ job_uuid: this.#jobUuid }), 'touch', '/tmp/go']
      await promisify(execFile)('docker', touch)
    }
  }

  async #expect(recorded: Frame): Promise<void> {
    const expected: Frame = { ...recorded }
    if (expected.job_uuid !== undefined) expected.job_uuid = this.#jobUuid
    for (const { message_type, field } of table.fields) {
      if (message_type === recorded.message_type) expected[field] = expect.anything()
    }
    expect(await this.#connection?.receive(), this.#executor.log).toEqual(expected)
  }

  async #close(code: number): Promise<void> {
    if (code === 1001) return this.#connection?.close(code)
    expect(await this.#connection?.receive()).toEqual({ closed: code })
    this.#connection?.close(code)
  }

  /** Gives the job a container, and time for it. */
  #adapted(frame: string): string {
    if (!frame.startsWith('{')) return frame
    const message: Frame = JSON.parse(frame)
    const timing = message.executor_timing as Record<string, number> | null | undefined
    if (message.job_uuid !== undefined) message.job_uuid = this.#jobUuid
    if (message.docker_image !== undefined) message.docker_image = PYTHON
    if (message.docker_run_cmd !== undefined) {
      message.docker_run_cmd = ['python', '-c', `${this.#name === LOST ? WAIT : ''}${PRINT}`]
    }
    if (timing && this.#name !== LIMIT_IS_SUBJECT) {
      message.executor_timing = Object.fromEntries(
        Object.entries(timing).map(([name, seconds]) => [name, seconds * AMPLE_FACTOR]),
      )
    }
    return JSON.stringify(message).replaceAll('http://files.example/', web.url('/'))
  }
}

/** One row of the table of what differs in one conversation. */
interface Difference {
  conversation: string
  /** A message that the replay's miner does not say, or that ours does not answer. */
  miner?: string
  not_sent?: boolean
  /** A connection at whose beginning ours repeats a message. */
  after?: string
  repeated?: string
}

function differencesOf(name: string): Difference[] {
  return (table.frames as Difference[]).filter(({ conversation }) => conversation === name)
}

/** Returns the events without the messages that are not said, and without the answers that ours does not give. */
function adjusted(name: string, events: readonly Event[]): Event[] {
  const rows = differencesOf(name).filter(({ miner }) => miner !== undefined)
  const rowOf = ([, what, detail]: Event) =>
    what === 'M' ? rows.find(({ miner }) => String(detail).includes(`"${miner}"`)) : undefined
  const said = events.filter((event, index) => {
    const before = events[index - 1]
    const isAnswer = event[1] === 'E' && before !== undefined && rowOf(before) !== undefined
    return !isAnswer && rowOf(event)?.not_sent !== true
  })
  // The recording notes the end of a process before that of its connection.
  const isEnd = ([, what]: Event) => what.startsWith('executor ')
  return [...said.filter(event => !isEnd(event)), ...said.filter(isEnd)]
}

describe('as the Python executor does', () => {
  test.each(CONVERSATIONS)('speaks with its miner: %s', async (name, events) => {
    const replay = new Replay(name)
    for (const event of adjusted(name, events)) await replay.play(event)
  })

  test('but for differences that the recordings show', () => {
    for (const { conversation } of table.frames as Difference[]) {
      expect(CONVERSATIONS.map(([name]) => name)).toContain(conversation)
    }
  })
})
