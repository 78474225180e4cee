import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Chain } from '@horde/chain/chain'
import { connectSubtensor } from '@horde/chain/subtensor'
import { hotkeyFromUri, writeHotkeyFile } from '@horde/chain/wallet'
import { type Devchain, startDevchain } from '@horde/devchain/devchain'
import { version } from '@horde/kit/version'
import type { V0JobRequest } from '@horde/protocol/v0/validator-miner'
import {
  HOST,
  MANIFEST,
  type Peer,
  play,
  type ScriptedMiner,
  startScriptedMiner,
} from '@horde/testing/peers/scripted-miner'
import { freePort } from '@horde/testing/port'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BatchResult } from '../src/commands/batch.ts'
import { startProgram } from './program.ts'

const NETUID = 3
const TAO = 1_000_000_000n
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
const ALGORITHMS: Record<string, string> = { '1410': 'sha256', '10810': 'sha384', '1710': 'sha512' }

/**
 * The parts of this file run at once, because they mostly wait, each for a chain of its own. Tests of the same chain run
 * one after the other.
 */
const IN_ORDER = { concurrent: false }

/** Returns the hashes of a hashcat job, from the file of its input, and their common salt. */
function hashesOf(volume: V0JobRequest['volume']): { hashes: Set<string>; salt: string } {
  if (volume?.volume_type !== 'inline') throw new Error('there is no input')
  const lines =
    Buffer.from(volume.contents, 'base64')
      .toString('latin1')
      .match(/[0-9a-f]{64,}:[0-9a-f]{16}/g) ?? []
  const [salt = ''] = lines.map(line => line.slice(-16))
  return { hashes: new Set(lines.map(line => line.slice(0, -17))), salt }
}

/** Finds the passwords of two characters of a hashcat job. Returns one a line, in the order of the search. */
function crack({ docker_run_cmd: command, volume }: V0JobRequest): string {
  const algorithm = ALGORITHMS[command[command.indexOf('--hash-type') + 1] ?? '']
  const [file, mask] = command.slice(-2)
  if (!algorithm || file !== '/volume/hashes.txt' || mask !== '?1?1') {
    throw new Error(`not such a job: ${command.join(' ')}`)
  }
  const { hashes, salt } = hashesOf(volume)
  const hashOf = (word: string) => createHash(algorithm).update(word).update(Buffer.from(salt, 'hex')).digest('hex')
  const words = [...LETTERS].flatMap(first => [...LETTERS].map(second => first + second))
  return words.filter(word => hashes.has(hashOf(word))).join('\n')
}

const cracking = async (peer: Peer) => {
  peer.send(MANIFEST)
  const work = await play.working(peer)
  peer.sendForJob('V0JobFinishedRequest', { docker_process_stdout: `${crack(work)}\n`, docker_process_stderr: '' })
}
const declining = async (peer: Peer) => {
  peer.send(MANIFEST)
  await play.offered(peer)
  peer.sendForJob('V0DeclineJobRequest')
}

describe.concurrent('against a chain and miners', () => {
  const stack = new AsyncDisposableStack()
  const miners: ScriptedMiner[] = []
  let devchain: Devchain
  let chain: Chain
  let env: Record<string, string>

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'horde-validator-'))
    stack.defer(() => rm(folder, { recursive: true }))
    for (const [i, script] of [cracking, declining, cracking].entries()) {
      miners.push(stack.use(await startScriptedMiner(hotkeyFromUri(`//main/${i}`), script)))
    }
    const coldkey = hotkeyFromUri('//Owner').ss58
    const neurons = [
      { hotkey: hotkeyFromUri('//Validator').ss58, coldkey, stake: String(5_000n * TAO) },
      ...miners.map(({ hotkey, port }) => ({ hotkey: hotkey.ss58, coldkey, axon: { ip: HOST, port } })),
    ]
    const hyperparameters = { CommitRevealWeightsEnabled: false, MinAllowedWeights: 1, WeightsSetRateLimit: 1 }
    const subnet = { netuid: NETUID, tempo: 2, hyperparameters, neurons }
    devchain = stack.use(await startDevchain({ blockMs: 100, genesis: { sudo: coldkey, subnets: [subnet] } }))
    chain = stack.use(await connectSubtensor({ endpoints: [devchain.url] }))
    while (!(await chain.metagraph(NETUID)).neurons[0]?.validatorPermit) await devchain.mineBlock()

    await writeHotkeyFile({ directory: folder, name: 'default', hotkey: 'default' }, '//Validator')
    env = {
      ...{ BITTENSOR_NETUID: String(NETUID), BITTENSOR_NETWORK: devchain.url, BITTENSOR_WALLET_DIRECTORY: folder },
      ...{ DATABASE_URL: 'pglite://memory', ALLOW_PRIVATE_MINERS: 'true', LOG_LEVEL: 'info' },
      ...{ HASHCAT_PASSWORD_LENGTH_SHA256: '2', HASHCAT_PASSWORD_LENGTH_SHA384: '2' },
      ...{ HASHCAT_PASSWORD_LENGTH_SHA512: '2', MANIFEST_WAIT_MS: '60000' },
    }
  })
  afterAll(() => stack.disposeAsync())

  const uidsOfWeights = async () => (await chain.weightsOf(NETUID, 0)).map(({ uid }) => uid)

  it(
    'batch --json runs one batch, sets weights, and prints the result on the last line of stdout',
    IN_ORDER,
    async () => {
      await using program = startProgram(['batch', '--json'], env)
      expect(await program.ended, [...program.stdout, ...program.stderr].join('\n')).toBe(0)
      expect(program.stdout).toHaveLength(1)
      const result = JSON.parse(program.stdout[0] ?? '') as BatchResult
      expect(['sha256', 'sha384', 'sha512']).toContain(result.algorithm)
      expect(result.jobs).toMatchObject([
        { miner: miners[0]?.hotkey.ss58, uid: 1, state: 'finished', reason: null, answer: true },
        { miner: miners[1]?.hotkey.ss58, uid: 2, state: 'rejected', reason: 'declined', answer: false, score: 0 },
        { miner: miners[2]?.hotkey.ss58, uid: 3, state: 'finished', reason: null, answer: true },
      ])
      expect(result.jobs[0]?.score).toBeGreaterThan(1)
      expect(result.jobs[0]?.seconds).toBeGreaterThan(0)
      expect(result.weights).toEqual(await chain.weightsOf(NETUID, 0))
      expect(await uidsOfWeights()).toEqual([1, 3])
      expect((await chain.metagraph(NETUID)).neurons[0]?.lastUpdate).toBe(result.block)
      for (const line of program.stderr) expect(JSON.parse(line)).toMatchObject({ name: 'validator' })
      expect(miners.flatMap(miner => miner.mistakes)).toEqual([])
    },
  )

  it('serves a batch, its weights and its health, and stops cleanly', IN_ORDER, async () => {
    const before = (await chain.metagraph(NETUID)).neurons[0]?.lastUpdate ?? 0
    await using program = startProgram([], { ...env, BATCH_AT_START: 'true', ADMIN_PORT: '0' })
    const started = JSON.parse(await program.line('validator started')) as { adminPort: number }
    await program.line('weights set')
    const health = await fetch(`http://127.0.0.1:${started.adminPort}/health`)
    const well = { version, live: true, ready: true, bad: [], warned: [], reasons: [] }
    expect([health.status, await health.json()]).toEqual([200, { ...well, complete: expect.any(Boolean) }])
    const metrics = await (await fetch(`http://127.0.0.1:${started.adminPort}/metrics`)).text()
    expect(metrics).toContain('validator_process_cpu_seconds_total')
    program.stop()
    expect(await program.ended).toBe(0)
    expect((await chain.metagraph(NETUID)).neurons[0]?.lastUpdate).toBeGreaterThan(before)
    expect(await uidsOfWeights()).toEqual([1, 3])
  })

  it('shows in its health the command that registers a hotkey', IN_ORDER, async ({ expect }) => {
    const directory = env.BITTENSOR_WALLET_DIRECTORY ?? ''
    await writeHotkeyFile({ directory, name: 'my-wallet', hotkey: 'validator-7' }, '//Unregistered')
    const names = { BITTENSOR_WALLET_NAME: 'my-wallet', BITTENSOR_WALLET_HOTKEY_NAME: 'validator-7' }
    await using program = startProgram([], { ...env, ...names, ADMIN_PORT: '0' })
    const { adminPort } = JSON.parse(await program.line('validator started')) as { adminPort: number }
    const keys = `--network ${devchain.url} --wallet my-wallet --wallet-hotkey validator-7`
    await expect
      .poll(async () => await (await fetch(`http://127.0.0.1:${adminPort}/health`)).text())
      .toContain(`btcli subnets register --netuid ${NETUID} ${keys})`)
  })
})

describe.concurrent('without the chain', () => {
  it('starts, shows at /health what is missing, and is ready once the chain answers', async ({ expect }) => {
    await using stack = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'horde-validator-'))
    stack.defer(() => rm(folder, { recursive: true }))
    await writeHotkeyFile({ directory: folder, name: 'default', hotkey: 'default' }, '//Validator')
    const port = await freePort()
    const program = stack.use(
      startProgram([], {
        ...{ BITTENSOR_NETUID: String(NETUID), BITTENSOR_NETWORK: `ws://127.0.0.1:${port}`, ADMIN_PORT: '0' },
        ...{ BITTENSOR_WALLET_DIRECTORY: folder, DATABASE_URL: 'pglite://memory', LOG_LEVEL: 'info' },
      }),
    )
    const { adminPort } = JSON.parse(await program.line('validator started')) as { adminPort: number }
    const health = async () => {
      const answer = await fetch(`http://127.0.0.1:${adminPort}/health`)
      return { status: answer.status, ...((await answer.json()) as object) }
    }
    expect(await health()).toMatchObject({ status: 503, live: true, ready: false, bad: ['chain'] })
    const coldkey = hotkeyFromUri('//Owner').ss58
    const neurons = [{ hotkey: hotkeyFromUri('//Validator').ss58, coldkey, stake: String(5_000n * TAO) }]
    const genesis = { sudo: coldkey, subnets: [{ netuid: NETUID, tempo: 2, neurons }] }
    stack.use(await startDevchain({ port, blockMs: 200, genesis }))
    await expect.poll(health).toMatchObject({ status: 200, ready: true, complete: true, bad: [] })
    program.stop()
    expect(await program.ended).toBe(0)
  })
})

describe.concurrent('with wrong settings', () => {
  it('lists every mistake at once and exits with 78', async () => {
    await using program = startProgram(['batch'], {
      ...{ BITTENSOR_NETUID: 'twelve', BITTENSOR_NETWORK: 'nowhere', HASHCAT_PASSWORD_LENGTH_SHA256: '0' },
      ...{ DATABASE_URL: 'mysql://user:hunter2@host/x', ALLOW_PRIVATE_MINERS: 'maybe', FACILITATOR_URI: 'example' },
    })
    expect(await program.ended).toBe(78)
    const output = program.stderr.join('\n')
    const names = [...output.matchAll(/^ {2}([A-Z\d_]+): /gm)].map(match => match[1])
    expect(names).toEqual([
      'BITTENSOR_NETUID',
      'BITTENSOR_NETWORK',
      'DATABASE_URL',
      'FACILITATOR_URI',
      'HASHCAT_PASSWORD_LENGTH_SHA256',
      'ALLOW_PRIVATE_MINERS',
    ])
    expect(output).not.toContain('hunter2')
    expect(output).not.toContain('    at ')
    expect(program.stdout).toEqual([])
  })

  it('names a missing wallet', async () => {
    await using program = startProgram([], {
      ...{ BITTENSOR_NETUID: '1', BITTENSOR_NETWORK: 'local', BITTENSOR_WALLET_DIRECTORY: '/nowhere/at/all' },
    })
    expect(await program.ended).toBe(78)
    expect(program.stderr.join('\n')).toContain('/nowhere/at/all/default/hotkeys/default')
  })

  it('prints its usage', async () => {
    await using program = startProgram(['bathc'], {})
    expect(await program.ended).toBe(64)
    expect(program.stderr.join('\n')).toContain('Usage:')
  })
})
