/** Runs the commands that `check` advises with Bittensor's own btcli 11. `bin/setup --sdks` installs it. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hotkeyFromUri, writeColdkeyPub, writeHotkeyFile } from '@horde/chain/wallet'
import { type Devchain, startDevchain } from '@horde/devchain/devchain'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { root } from '../test/release/check-lines.ts'

const PROGRAMS = join(root, '.venvs/bittensor/bin')
const NETUID = 12
const WALLET = 'my-wallet'
const key = (name: string) => hotkeyFromUri(`//${name}`).ss58

let stack: AsyncDisposableStack
let chain: Devchain
let home: string

beforeAll(async () => {
  if (!existsSync(join(PROGRAMS, 'btcli'))) throw new Error(`${PROGRAMS}/btcli is missing: run bin/setup --sdks`)
  stack = new AsyncDisposableStack()
  const owner = { coldkey: key('Alice'), hotkey: key('Alice') }
  const validator = { coldkey: key('Cold'), hotkey: key('validator-1'), stake: '600000000000' }
  const neurons = [{ ...owner, stake: '5000000000000' }, validator, { coldkey: key('Cold'), hotkey: key('miner-1') }]
  const subnets = [{ netuid: NETUID, tempo: 360, owner, neurons }]
  const stakeThreshold = '1000000000000'
  const genesis = { sudo: key('Alice'), stakeThreshold, balances: { [key('Cold')]: '10000000000000' }, subnets }
  chain = stack.use(await startDevchain({ blockMs: 250, genesis }))
  home = await mkdtemp(join(tmpdir(), 'advice-'))
  stack.defer(() => rm(home, { recursive: true, force: true }))
  await writeWallet()
})
afterAll(() => stack.disposeAsync())

/** Writes an owner's wallet: hotkeys, and the coldkey, which neither the miner nor the validator ever reads. */
async function writeWallet(): Promise<void> {
  const directory = join(home, '.bittensor/wallets')
  for (const name of ['miner-1', 'miner-2', 'validator-1']) {
    await writeHotkeyFile({ directory, name: WALLET, hotkey: name }, `//${name}`)
  }
  const cold = await writeHotkeyFile({ directory: join(home, 'coldkey'), name: WALLET, hotkey: 'cold' }, '//Cold')
  await copyFile(cold, join(directory, WALLET, 'coldkey'))
  await writeColdkeyPub({ directory, name: WALLET }, key('Cold'))
}

/** Runs a service's `check` with one of the wallet's hotkeys. Returns the lines that it prints. */
async function check(role: 'miner' | 'validator', hotkey: string): Promise<string[]> {
  const state = join(home, hotkey)
  await mkdir(state, { recursive: true })
  const manager = join(state, 'manager.mjs')
  await writeFile(manager, 'export const createExecutorManager = () => ({ start() {} })')
  const env = {
    ...{ PATH: process.env.PATH, HOME: state, BITTENSOR_NETWORK: chain.url, BITTENSOR_NETUID: String(NETUID) },
    ...{ BITTENSOR_WALLET_DIRECTORY: join(home, '.bittensor/wallets'), BITTENSOR_WALLET_NAME: WALLET },
    ...{ BITTENSOR_WALLET_HOTKEY_NAME: hotkey, BITTENSOR_MINER_ADDRESS: '127.0.0.2', EXECUTOR_MANAGER: manager },
    ...{ EXECUTOR_GPU_DEVICE_IDS: 'none', LISTEN_HOST: '127.0.0.1' },
  }
  return await new Promise(resolve => {
    execFile(process.execPath, [join(root, `packages/${role}/src/main.ts`), 'check'], { env }, (_, stdout) =>
      resolve(stdout.trim().split('\n')),
    )
  })
}

/** Returns the line about a subject, or a text with all lines if there is none. */
function lineOf(subject: string, lines: readonly string[]): string {
  return lines.find(line => line.slice(5).startsWith(`${subject}: `)) ?? `no line for ${subject} in ${lines.join('\n')}`
}

/** Runs the btcli command in a line of `check`, and confirms what btcli asks. Returns what btcli printed. */
async function runAdvice(line: string): Promise<string> {
  const [command] = /btcli (?:subnets|stake|tx) [^()]*/.exec(line) ?? []
  if (command === undefined) throw new Error(`this line advises no command: ${line}`)
  const env = {
    ...{ PATH: `${PROGRAMS}:${process.env.PATH}`, HOME: home, TERM: 'dumb', COLUMNS: '250' },
    ...{ BT_FALLBACK_ENDPOINTS: 'none', BT_ARCHIVE_ENDPOINTS: 'none' },
  }
  return await new Promise(resolve => {
    execFile('bash', ['-c', `${command} --yes`], { env }, (_, stdout, stderr) => resolve(`${stdout}\n${stderr}`))
  })
}

/** The error at which btcli stops: it encrypts the call for the pallet MevShield, which the local chain lacks. */
const NO_SHIELD = 'MevShield.NextKey not found'

it('the advice for an unregistered hotkey registers it on the subnet and network of the settings', async () => {
  const line = lineOf('registration', await check('miner', 'miner-2'))
  expect(line).toMatch(/^bad {2}registration: the hotkey is not registered/)
  const output = await runAdvice(line)
  expect(output).toContain(`register ${WALLET}/miner-2 (${key('miner-2')}) on netuid ${NETUID}`)
  expect(output).toMatch(new RegExp(`wallet +${WALLET} \\(${key('Cold')}\\)`))
  expect(output).toContain(NO_SHIELD)
})

it('the advice for too little stake adds the missing amount', async () => {
  const line = lineOf('stake', await check('validator', 'validator-1'))
  expect(line).toMatch(/^bad {2}stake: 600 TAO/)
  const output = await runAdvice(line)
  expect(output).toContain(`stake τ400.000000000 to ${WALLET}/validator-1 (${key('validator-1')}) on netuid ${NETUID}`)
  expect(output).toContain(NO_SHIELD)
})

it('the advice for a missing address announces it', async () => {
  const line = lineOf('announced', await check('miner', 'miner-1'))
  expect(line).toMatch(/^warn announced: the chain says no address, not 127\.0\.0\.2 port 8000/)
  expect(await runAdvice(line)).toContain(`✓ serve axon 127.0.0.2:8000 on netuid ${NETUID}`)
  expect(lineOf('announced', await check('miner', 'miner-1'))).toMatch(/^ok {3}announced: the chain says so/)
})
