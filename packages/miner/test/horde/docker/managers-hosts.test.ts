/** Executors on another host: an engine and an SSH server in their own network, with faults of their connections. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { EngineAddress } from '@horde/engine/engine-address'
import { systemClock } from '@horde/kit/time'
import { TestAuthority } from '@horde/testing/certificates'
import { connectValidator } from '@horde/testing/peers/validator'
import { PrivateEngine, TLS_PORT } from '@horde/testing/private-engine'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { engineSettings } from '../../../src/horde/docker/engine-settings.ts'
import { dockerManager } from '../../../src/horde/docker.ts'
import { capturedLog } from '../../captured-log.ts'
import { startChain, startTestMiner } from '../../harness.ts'
import { scriptJob, untilReady } from '../../script-job.ts'
import { newKey, TestSshServer } from './ssh-server.ts'

const MINER = fileURLToPath(new URL('../../fixtures/docker-miner.ts', import.meta.url))
const owner = 'a miner'
const PYTHON = 'compute-horde/python:3.11'

let stack: AsyncDisposableStack
let folder: string
let authority: TestAuthority
let otherAuthority: TestAuthority
let engine: PrivateEngine
let ssh: TestSshServer
let there: string
let network: Awaited<ReturnType<typeof startChain>>
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  folder = await mkdtemp(join(tmpdir(), 'miner-hosts-'))
  stack.defer(() => rm(folder, { recursive: true }))
  authority = await TestAuthority.make(folder, 'authority')
  otherAuthority = await TestAuthority.make(folder, 'otherAuthority')
  tls = { ca: authority.ca, ...(await authority.certify('miner', 'clientAuth')) }
  const certificates = async ({ there }: { there: string }) => {
    return { ca: authority.ca, ...(await authority.certify('engine', 'serverAuth', there)) }
  }
  engine = stack.use(await PrivateEngine.start({ hasImages: true, isLinked: true, tls: certificates }))
  there = (await engine.network.link()).there
  ssh = stack.use(await TestSshServer.start(engine.network))
  network = stack.use(await startChain())
})
afterAll(() => stack?.disposeAsync())

let logged: ReturnType<typeof capturedLog>
beforeEach(() => {
  logged = capturedLog()
})

/** The files of a miner whose certificate an engine accepts. */
let tls: { ca: string; cert: string; key: string }
const overTls = (changes: Record<string, string> = {}) =>
  engineSettings.parse({
    host: `tcp://${there}:${TLS_PORT}`,
    tls: { ...tls, ...changes },
    remote_socket: engine.socket,
  })
const overSsh = (changes: Record<string, string> = {}, remote_socket = engine.socket) =>
  engineSettings.parse({
    host: `ssh://root@${there}:${ssh.port}`,
    ssh: { identity: ssh.identity, known_hosts: ssh.knownHosts, ...changes },
    remote_socket,
  })

const open = (address: EngineAddress) =>
  dockerManager({
    image: 'compute-horde/executor:v0',
    pullImage: false,
    engine: address,
    owner,
    stopWithinMs: 10_000,
    clock: systemClock,
    log: logged.log,
  })

async function startMiner(address: EngineAddress) {
  const manager = await open(address)
  const { machine } = await engine.network.link()
  const env = { EXECUTOR_CLASS: 'always_on.test', PORT_FOR_EXECUTORS: '0', PYTHON_IMAGE: PYTHON }
  const { chain, url: chainUrl } = network
  return startTestMiner({ chain, chainUrl, manager, addressForExecutors: machine, env, log: logged.log })
}

const order = { token: 'x', minerAddress: 'ws://127.0.0.1:1', executorClass: 'always_on.test', environment: {} }
const containers = () => engine.docker('ps', '-aq', '--filter', 'label=compute-horde.miner')

/** The pids of the SSH clients of this test. */
async function sshClients(): Promise<number[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map(pid => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return pids.filter((_, at) => lines[at]?.startsWith('ssh\0') && lines[at].includes(ssh.folder)).map(Number)
}

describe.each([
  ['TLS', overTls],
  ['SSH', overSsh],
])('executors on a host over %s', (_name, address) => {
  it('run a job, and leave nothing there', async () => {
    await using miner = await startMiner(address())
    await using validator = await connectValidator(miner)
    const job = scriptJob('print(6 * 7)')
    await untilReady(validator, job)
    expect(await validator.next()).toMatchObject({ docker_process_stdout: '42\n' })
    await expect.poll(containers).toBe('')
  })

  it('are stopped in the middle of a job', async () => {
    const miner = await startMiner(address())
    await using validator = await connectValidator(miner)
    const job = scriptJob('import time; time.sleep(1000)', 2000)
    await untilReady(validator, job)
    expect(await containers()).not.toBe('')
    await miner[Symbol.asyncDispose]()
    expect(await engine.docker('ps', '-aq')).toBe('')
    expect(await sshClients()).toEqual([])
  })
})

/** A server at a port of this machine, with a certificate of the authority for another host, or without any. */
async function impostor(isSecure: boolean): Promise<{ port: number } & AsyncDisposable> {
  const { cert, key } = await authority.certify('impostor', 'serverAuth', there)
  const files = { cert: await readFile(cert), key: await readFile(key) }
  const server = isSecure ? createHttpsServer(files) : createHttpServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return { port, [Symbol.asyncDispose]: async () => void server.close() }
}

/** Expects a warning with these words at the opening, and a start to be rejected with them. */
async function expectRefusal(address: EngineAddress, words: RegExp): Promise<void> {
  const manager = await open(address)
  await expect(manager.start(order)).rejects.toThrow(words)
  await manager.close?.()
  const warnings = logged.lines.filter(({ msg }) => String(msg).startsWith('the executor image'))
  expect(warnings).toMatchObject([{ err: { message: expect.stringMatching(words) } }])
  expect(await containers()).toBe('')
  expect(await sshClients()).toEqual([])
}

describe('an engine over TLS is refused', () => {
  it('with a certificate that another CA has signed', async () => {
    await expectRefusal(overTls({ ca: otherAuthority.ca }), /not signed by the CA in tls\.ca/)
  })

  it('when it does not accept the miner’s certificate', async () => {
    await expectRefusal(
      overTls(await otherAuthority.certify('miner', 'clientAuth')),
      /does not accept this miner's certificate/,
    )
  })

  it.each([
    ['with a certificate for another host', true, /certificate is for another host/],
    ['when it does not speak TLS', false, /does not speak TLS/],
  ])('%s', async (_name, isSecure, words) => {
    await using server = await impostor(isSecure)
    await expectRefusal(engineSettings.parse({ host: `tcp://127.0.0.1:${server.port}`, tls }), words)
  })

  it('when nothing listens there', async () => {
    await expectRefusal(engineSettings.parse({ host: `tcp://${there}:1`, tls }), /nothing listens there/)
  })

  it('at once when a file is missing', async () => {
    await expect(open(overTls({ key: '/no/such/key.pem' }))).rejects.toThrow(
      '/no/such/key.pem, for tls, cannot be read',
    )
  })
})

describe('an engine over SSH is refused', () => {
  it('when its host has another key than the known one', async () => {
    const known_hosts = join(folder, 'other_hosts')
    await newKey(join(folder, 'other_host'))
    await writeFile(known_hosts, `[${there}]:${ssh.port} ${await readFile(join(folder, 'other_host.pub'), 'utf8')}`)
    await expectRefusal(overSsh({ known_hosts }), /its key is not the one in ssh\.known_hosts/)
  })

  it('when its host is unknown', async () => {
    const known_hosts = join(folder, 'no_hosts')
    await writeFile(known_hosts, '')
    await expectRefusal(overSsh({ known_hosts }), /its key is not the one in ssh\.known_hosts/)
  })

  it('when its host does not accept the key', async () => {
    await newKey(join(folder, 'other_key'))
    await expectRefusal(overSsh({ identity: join(folder, 'other_key') }), /it does not accept the key ssh\.identity/)
  })

  it('when there is no engine', async () => {
    await expectRefusal(overSsh({}, '/run/no-engine.sock'), /there is no engine at remote_socket/)
  })

  it('when nothing listens there', async () => {
    const part = { identity: ssh.identity, known_hosts: ssh.knownHosts }
    await expectRefusal(engineSettings.parse({ host: `ssh://root@${there}:1`, ssh: part }), /nothing listens there/)
  })

  it('at once when a file is missing', async () => {
    await expect(open(overSsh({ identity: '/no/such/key' }))).rejects.toThrow('/no/such/key, for ssh, cannot be read')
  })
})

describe('a tunnel', () => {
  it('is opened again when it breaks, and the job of an executor behind it goes on', async () => {
    await using miner = await startMiner(overSsh())
    await using validator = await connectValidator(miner)
    const job = scriptJob('import time; time.sleep(3); print(1)')
    await untilReady(validator, job)
    const [first = 0, ...others] = await sshClients()
    expect(others).toEqual([])
    process.kill(first)
    await expect.poll(sshClients).not.toContain(first)
    expect(await validator.next()).toMatchObject({ docker_process_stdout: '1\n' })
    // The manager reports its exit too, so its slot is free.
    let next = scriptJob('')
    const offered = async () => {
      next = scriptJob('print(2)')
      await validator.send(next.offer)
      return (await validator.next()).message_type
    }
    await expect.poll(offered).toBe('V0AcceptJobRequest')
    expect(await validator.next()).toMatchObject({ message_type: 'V0ExecutorReadyRequest' })
    await validator.send(next.work)
    expect(await validator.next()).toMatchObject({ docker_process_stdout: '2\n' })
    await expect.poll(containers).toBe('')
  })

  it('leaves no executor behind after an outage', async () => {
    const manager = await open(overSsh())
    const executor = await manager.start(order)
    const [before] = (await containers()).split('\n')
    await ssh.stop()
    for (const pid of await sshClients()) process.kill(pid)
    await expect.poll(sshClients).toEqual([])
    await expect(executor.stop()).rejects.toThrow(/could not be reached|nothing listens/)
    await ssh.resume(engine.network)
    await expect.poll(() => manager.start(order).catch(() => undefined)).toBeDefined()
    expect((await containers()).split('\n')).not.toContain(before)
    await manager.takeOver?.(new Set())
    expect(await containers()).toBe('')
    await manager.close?.()
  })

  it('ends with its miner, also when that is killed', async () => {
    const miner = spawn(process.execPath, [MINER, owner, 'ws://127.0.0.1:1', '', '', JSON.stringify(overSsh())], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(miner.stdout, 'data')
    const [client, ...others] = await sshClients()
    expect(others).toEqual([])
    const socket = /-L\0([^:]+):/.exec(await readFile(`/proc/${client}/cmdline`, 'utf8'))?.[1] ?? ''
    expect(existsSync(socket)).toBe(true)
    miner.kill('SIGKILL')
    await expect.poll(sshClients).toEqual([])
    expect(existsSync(dirname(socket))).toBe(false)
  })
})

it('removes what an earlier run left on a host once that is back', async () => {
  const { machine } = await engine.network.link()
  const mute = createTcpServer().listen(0, machine)
  stack.defer(() => void mute.close())
  await once(mute, 'listening')
  const minerAddress = `ws://${machine}:${(mute.address() as AddressInfo).port}`
  const args = [MINER, owner, minerAddress, '', 'wanted,unwanted', JSON.stringify(overSsh())]
  const earlier = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await expect.poll(async () => (await containers()).split('\n')).toHaveLength(2)
  await once(earlier.stdout, 'data')
  earlier.kill('SIGKILL')
  const left = (await containers()).split('\n')

  await ssh.stop()
  const manager = await open(overSsh())
  await expect(manager.takeOver?.(new Set(['wanted']))).rejects.toThrow('nothing listens there')
  expect((await containers()).split('\n')).toEqual(left)

  await ssh.resume(engine.network)
  const starting = () => manager.start({ ...order, minerAddress })
  await expect.poll(() => starting().catch(() => undefined)).toBeDefined()
  const after = (await containers()).split('\n')
  expect(after).toHaveLength(2)
  expect(after.filter(id => left.includes(id))).toHaveLength(1)
  await manager.takeOver?.(new Set())
  expect(await containers()).toBe('')
  await manager.close?.()
})
