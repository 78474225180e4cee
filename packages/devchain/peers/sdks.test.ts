/**
 * Bittensor's SDKs from PyPI on a devchain. `bin/setup --sdks` installs them. The Python scripts beside this file read
 * and send; this file checks the results that the SDK sees and the state of the chain.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Devchain, startDevchain } from '../src/devchain.ts'
import {
  account,
  type Client,
  connect,
  genesis,
  miner,
  NETUID,
  second,
  stranger,
  TAO,
  validator,
} from '../test/client.ts'

const VENVS = fileURLToPath(new URL('../../../.venvs/', import.meta.url))
/** Short, because the SDKs wait for blocks. */
const BLOCK_MS = 250
const BALANCE = Number(10_000n * TAO)
const SENT = Number(5n * TAO)
const DONE = { success: true, message: 'Success', error: null }
const WEIGHTS = [
  [1, 21_845],
  [2, 65_535],
]

type Answers = Record<string, unknown>

/** Runs a script on the Python of one of .venvs, against a chain. @returns each step's answer, by the step's name */
async function answersOf(script: string, venv: string, chain: Devchain): Promise<Answers> {
  const python = `${VENVS}${venv}/bin/python`
  if (!existsSync(python)) throw new Error(`${python} is missing: run bin/setup --sdks`)
  // SDK 11 keeps the metadata of each chain in the home folder, by the hash of its genesis, which a change of the table
  // leaves alone.
  const home = await mkdtemp(join(tmpdir(), 'sdk-home-'))
  await using _ = { [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }) }
  const child = spawn(python, [fileURLToPath(new URL(script, import.meta.url)), chain.url], {
    env: { HOME: home },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  const output = await text(child.stdout)
  expect(await closed, output).toBe(0)
  return JSON.parse(output.trim().split('\n').at(-1) ?? '')
}

/** A script's answers, and the state that another client then reads. */
async function use<T>(script: string, venv: string, look: (client: Client) => Promise<T>): Promise<[Answers, T]> {
  await using chain = await startDevchain({ blockMs: BLOCK_MS, genesis: genesis() })
  await chain.mineBlock()
  const answers = await answersOf(script, venv, chain)
  await using client = await connect(chain.url)
  return [answers, await look(client)]
}

const freeOf = async (client: Client, address: string) =>
  ((await client.read('system.account', address)) as { data: { free: number } }).data.free

describe('SDK 10.5', () => {
  let answers: Answers
  let chain: { weights: unknown; uid: unknown; stranger: number }

  beforeAll(async () => {
    ;[answers, chain] = await use('sdk-10.py', 'bittensor-10', async client => ({
      weights: await client.read('subtensorModule.weights', NETUID, 0),
      uid: await client.read('subtensorModule.uids', NETUID, account('Newcomer').address),
      stranger: await freeOf(client, stranger.address),
    }))
  })

  it('reads a balance, a registration, the tempo and the time', () => {
    expect(answers).toMatchObject({
      ...{ balance: BALANCE, 'balance in the first block': BALANCE, tempo: 100 },
      ...{ registered: true, 'stranger registered': false },
    })
    expect(Math.abs(Number(answers.timestamp) - Date.now() / 1000)).toBeLessThan(3600)
  })

  it('transfers and sees the success', () => {
    expect(answers).toMatchObject({ transfer: DONE, "stranger's balance": SENT })
    expect(chain.stranger).toBe(SENT)
  })

  it('sets weights and sees the success', () => {
    expect(answers).toMatchObject({ set_weights: DONE, weights: [[0, WEIGHTS]] })
    expect(chain.weights).toEqual(WEIGHTS)
  })

  it('registers a hotkey and sees the success', () => {
    expect(answers).toMatchObject({ burned_register: DONE, 'newcomer registered': true })
    expect(chain.uid).toBe(3)
  })

  it('gets the error of a call that the block refused', () => {
    expect(answers['module error']).toMatchObject({ success: false, error: expect.stringContaining('NotSubnetOwner') })
    expect(answers['token error']).toMatchObject({ success: false, error: expect.stringContaining('FundsUnavailable') })
  })
})

describe('SDK 11.3', () => {
  let answers: Answers
  let chain: { axon: unknown; stranger: number }

  beforeAll(async () => {
    ;[answers, chain] = await use('sdk-11.py', 'bittensor', async client => ({
      axon: await client.read('subtensorModule.axons', NETUID, miner.address),
      stranger: await freeOf(client, stranger.address),
    }))
  })

  it('reads a balance, the subnet, its neurons and the time', () => {
    expect(answers).toMatchObject({
      ...{ balance: BALANCE, 'balance in the first block': BALANCE, tempo: 100, uid: 2, "stranger's uid": null },
      subnet: { netuid: NETUID, tempo: 100, neuron_count: 3 },
      hotkeys: [validator.address, second.address, miner.address],
      'token symbols': { [NETUID]: 'α' },
    })
    expect(Math.abs(Number(answers.timestamp) - Date.now() / 1000)).toBeLessThan(3600)
  })

  it('transfers and sees the success', () => {
    expect(answers).toMatchObject({ transfer: DONE, "stranger's balance": SENT })
    expect(chain.stranger).toBe(SENT)
  })

  it('announces an axon and sees the success', () => {
    expect(answers).toMatchObject({ serve_axon: DONE, axon: { ip: 0x7f_00_00_02, port: 8091, protocol: 4 } })
    expect(chain.axon).toMatchObject({ ip: 0x7f_00_00_02, port: 8091 })
  })

  it('gets the error of a call that the pool or the block refused', () => {
    expect(answers['refused axon']).toMatchObject({ success: false, message: expect.stringContaining('invalid IP') })
    expect(answers['module error']).toMatchObject({ success: false, message: 'NotSubnetOwner' })
  })
})
