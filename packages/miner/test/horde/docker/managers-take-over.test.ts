/** What a restarted miner finds of its executors on an engine, and what it leaves alone there. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { bridgeAddress, dockerManager } from '../../../src/horde/docker.ts'

const SOCKET = '/var/run/docker.sock'
const IMAGE = 'compute-horde/executor:v0'
const MINER = fileURLToPath(new URL('../../fixtures/docker-miner.ts', import.meta.url))

const run = promisify(execFile)
const docker = async (...args: string[]) => (await run('docker', args)).stdout.trim()
const containersOf = async (owner: string) => {
  const ids = await docker('ps', '-aq', '--filter', `label=compute-horde.miner=${owner}`)
  return ids.split('\n').filter(Boolean).sort()
}
const newToken = () => `${randomUUID()}-${randomUUID()}`

/** A miner's manager in a process of its own. */
class Miner implements AsyncDisposable {
  readonly lines: string[] = []
  readonly #process: ChildProcess

  constructor(owner: string, { wanted = [], started = [] }: { wanted?: string[]; started?: string[] }) {
    const args = [MINER, owner, `ws://${address}`, wanted.join(), started.join()]
    // What other clients take from their environment means nothing here: the miner's settings say where the engine is.
    const env = { ...process.env, DOCKER_HOST: 'tcp://127.0.0.1:1', DOCKER_TLS_VERIFY: '1' }
    this.#process = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env })
    if (this.#process.stdout === null) throw new Error('a process without stdout')
    createInterface({ input: this.#process.stdout }).on('line', line => this.lines.push(line))
  }

  /** Returns the first message of the process that has this key. */
  async reported(key: string): Promise<Record<string, unknown>> {
    const found = () => this.lines.map(line => JSON.parse(line)).find(message => key in message)
    await expect.poll(found).toBeDefined()
    return found()
  }

  /** As `kill -9` does, unless it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
  }
}

/** An address where no miner listens: executors dial it again and again. */
let mute: Server
let address: string
beforeAll(async () => {
  const host = await bridgeAddress(SOCKET)
  mute = createServer().listen(0, host)
  await once(mute, 'listening')
  address = `${host}:${(mute.address() as { port: number }).port}`
})
afterAll(() => void mute.close())

let owner: string
let otherOwner: string
beforeEach(() => {
  owner = `test-${randomUUID()}`
  otherOwner = `${owner}-other`
})
afterEach(async () => {
  const left = [...(await containersOf(owner)), ...(await containersOf(otherOwner))]
  if (left.length > 0) await docker('rm', '--force', '--volumes', ...left)
})

const open = () =>
  dockerManager({
    image: IMAGE,
    pullImage: false,
    engine: { socket: SOCKET },
    owner,
    stopWithinMs: 10_000,
    clock: systemClock,
    log: silentLog,
  })

/** Starts executors in a process that is then killed. Returns the shortened ids of their containers. */
async function leftBehind(whose: string, started: string[]): Promise<string[]> {
  await using miner = new Miner(whose, { started })
  const { ids } = await miner.reported('ids')
  return (ids as string[]).map(id => id.replace('container ', ''))
}

describe('executors of a miner that was killed', () => {
  it('are taken over by the next one, which gets their log and exit, and can stop them', async () => {
    const [first, second] = [newToken(), newToken()]
    const ids = await leftBehind(owner, [first, second])
    await using miner = new Miner(owner, { wanted: [newToken(), first, second] })
    const { taken } = await miner.reported('taken')
    expect((taken as string[]).sort()).toEqual([first, second].sort())
    expect(await containersOf(owner)).toEqual(ids.sort())

    await docker('stop', ids[0] ?? '')
    expect(await miner.reported('how')).toMatchObject({
      token: expect.anything(),
      how: expect.stringMatching(/^exit code/),
    })
    expect(miner.lines.join()).toContain('"msg":"stopping"')

    const found = await (await open()).takeOver?.(new Set([first, second]))
    expect(found?.size).toBe(1)
    const executor = [...(found?.values() ?? [])][0]
    await Promise.all([executor?.stop(), executor?.stop()])
    await expect(executor?.exited).resolves.toMatch(/^exit code|gone/)
    expect(await containersOf(owner)).toEqual([])
  })

  it('are found by a hash of their token', async () => {
    const token = newToken()
    const [id = ''] = await leftBehind(owner, [token])
    expect(await docker('inspect', '--format', '{{json .Config.Labels}} {{.Name}}', id)).not.toContain(token)
  })

  it('are removed when no job waits for them or they do not run, and those of another miner never', async () => {
    const [ended, wanted] = [newToken(), newToken()]
    const [first = ''] = await leftBehind(owner, [ended, newToken(), wanted])
    await docker('kill', first)
    const labels = JSON.parse(await docker('inspect', '--format', '{{json .Config.Labels}}', first))
    // As a miner that is killed between the two steps of a start leaves it.
    const hash = Object.keys(labels).find(name => name.includes('sha256')) ?? ''
    await docker('create', ...label('compute-horde.miner', owner), ...label(hash, labels[hash]), IMAGE)
    await docker('create', ...label('compute-horde.miner', owner), IMAGE)
    const theirs = await leftBehind(otherOwner, [ended])
    await docker('create', ...label('compute-horde.miner', otherOwner), IMAGE)
    expect(await containersOf(owner)).toHaveLength(5)

    const manager = await open()
    expect(await containersOf(owner)).toHaveLength(5)
    const found = await manager.takeOver?.(new Set([ended, wanted]))
    expect([...(found?.keys() ?? [])]).toEqual([wanted])
    expect(await containersOf(owner)).toHaveLength(1)
    expect(await containersOf(otherOwner)).toEqual(expect.arrayContaining(theirs))
    expect(await containersOf(otherOwner)).toHaveLength(2)
    await manager.close?.()
  })

  it('are found by every pool that shares the engine', async () => {
    const tokens = new Set([newToken(), newToken()])
    await leftBehind(owner, [...tokens])
    const [one, other] = await Promise.all([open(), open()])
    const found = await Promise.all([one.takeOver?.(tokens), other.takeOver?.(tokens)])
    for (const each of found) expect(new Set(each?.keys())).toEqual(tokens)
    expect(await containersOf(owner)).toHaveLength(2)
  })
})

it('removes the container of a killed check with the next check', async () => {
  await docker('run', '--detach', ...label('compute-horde.miner', owner), '--entrypoint', 'true', IMAGE)
  await expect.poll(() => docker('ps', '-q', '--filter', `label=compute-horde.miner=${owner}`)).toBe('')
  const manager = await open()
  const check = await manager.check?.({ LOG_LEVEL: 'silent' })
  expect(await check?.exited).toBe('exit code 0')
  expect(await check?.exitCode).toBe(0)
  await check?.stop()
  expect(await containersOf(owner)).toEqual([])
  await manager.close?.()
})

const label = (name: string, value: string) => ['--label', `${name}=${value}`]
