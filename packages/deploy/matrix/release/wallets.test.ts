/**
 * Runs the wallet commands of the documents with Bittensor's own programs, and has `check` read the keys that they
 * create. `bin/setup --peers` installs those programs.
 */
import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hotkeyFromUri, readColdkeyPub, readHotkey } from '@horde/chain/wallet'
import { startDevchain } from '@horde/devchain/devchain'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root } from '../../test/release/check-lines.ts'
import { btcli9Commands, DOCUMENTS, ROLES, shellCommands } from '../../test/release/documents.ts'

/** The folders with the programs of btcli 11 and of btcli 9. */
const BTCLI_11 = join(root, '.venvs/bittensor/bin')
const BTCLI_9 = join(root, '.venvs/bittensor-cli/bin')
const PASSWORD = 'Correct-Horse-9-Battery'
/** Questions of the programs, with the owner's answers. */
const ANSWERS: readonly [RegExp, string][] = [
  [/password[^\n]*: ?$/i, PASSWORD],
  [/path of wallets directory[^\n]*: ?$/i, ''],
  [/number of words[^\n]*: ?$/i, '12'],
]
const NETUID = 12
const WALLET = 'my-wallet'
const key = (name: string) => hotkeyFromUri(`//${name}`).ss58

let folder: string

beforeAll(async () => {
  for (const programs of [BTCLI_11, BTCLI_9]) {
    if (!existsSync(join(programs, 'btcli'))) throw new Error(`${programs}/btcli is missing: run bin/setup --peers`)
  }
  folder = await mkdtemp(join(tmpdir(), 'wallets-'))
})

afterAll(() => rm(folder, { recursive: true, force: true }))

/** Creates an empty home folder for an owner. */
async function newHome(): Promise<string> {
  return mkdtemp(join(folder, 'home-'))
}

/** Returns the whole environment of a program. It leaves out this machine's BT_… variables, which btcli reads. */
const environment = (programs: string, home: string) => ({
  ...{ PATH: `${programs}:${process.env.PATH}`, HOME: home, TERM: 'dumb', COLUMNS: '200' },
  ...{ BT_FALLBACK_ENDPOINTS: 'none', BT_ARCHIVE_ENDPOINTS: 'none' },
})

/** Runs a command on a terminal, like an owner, and answers its questions. Returns what it printed. */
function runOnTerminal(line: string, programs: string, home: string): Promise<{ code: number | null; output: string }> {
  const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    env: environment(programs, home),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let [output, unanswered] = ['', '']
  child.stdout.on('data', (data: Buffer) => {
    output += data
    unanswered += data
    const answer = ANSWERS.find(([question]) => question.test(unanswered))?.[1]
    if (answer === undefined) return
    unanswered = ''
    child.stdin.write(`${answer}\r`)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', code => resolve({ code, output: output.replaceAll('\r', '') }))
  })
}

/** Runs a command without a terminal. Returns its exit code and what it printed. */
function run(line: string, programs: string, home: string): Promise<{ code: number; output: string }> {
  return new Promise(resolve => {
    const options = { env: environment(programs, home) }
    execFile('bash', ['-c', line], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: `${stdout}${stderr}` })
    })
  })
}

/** Returns the one command that begins with `start`; throws if there is none, or more than one. */
function findCommand(commands: readonly string[], start: string): string {
  const [command, ...more] = commands.filter(each => each.startsWith(`${start} `))
  if (command === undefined || more.length > 0) throw new Error(`the document must have exactly one command '${start}'`)
  return command
}

const walletsOf = (home: string) => join(home, '.bittensor/wallets')

describe.each(ROLES)('the document for a %s', role => {
  const { file, hotkey } = DOCUMENTS[role]
  const commands = shellCommands(file, 'btcli')
  const wallet = (home: string) => ({ directory: walletsOf(home), name: WALLET, hotkey })

  it('creates keys with its commands, and `check` accepts the hotkey', async () => {
    const home = await newHome()
    expect(await runOnTerminal(findCommand(commands, 'btcli wallet create'), BTCLI_11, home)).toMatchObject({ code: 0 })
    const coldkey = await readFile(join(walletsOf(home), WALLET, 'coldkey'), 'latin1')
    expect(coldkey.startsWith('$NACL'), 'the coldkey is encrypted').toBe(true)
    const { ss58 } = await readHotkey(wallet(home))
    const shown = await run(findCommand(commands, 'btcli wallet show'), BTCLI_11, home)
    expect(shown).toMatchObject({ code: 0 })
    expect(shown.output).toContain(ss58)
    expect(shown.output).toContain(await readColdkeyPub(wallet(home)))
    const lines = await check(role, home, hotkey, ss58)
    expect(lines).toContain(`ok   hotkey: ${ss58}`)
    expect(lines).toContain(`ok   registration: the hotkey has uid 1 on subnet ${NETUID}`)
  })

  it('adds a hotkey to an existing coldkey', async () => {
    const [first, home] = [await newHome(), await newHome()]
    await runOnTerminal(findCommand(commands, 'btcli wallet create'), BTCLI_11, first)
    await cp(walletsOf(first), walletsOf(home), { recursive: true })
    await rm(join(walletsOf(home), WALLET, 'hotkeys'), { recursive: true })
    expect(await runOnTerminal(findCommand(commands, 'btcli wallet new-hotkey'), BTCLI_11, home)).toMatchObject({
      code: 0,
    })
    expect((await readHotkey(wallet(home))).ss58).not.toBe((await readHotkey(wallet(first))).ss58)
    expect((await stat(join(walletsOf(home), WALLET, 'hotkeys', hotkey))).mode & 0o077).toBe(0)
  })

  it('has commands for the chain that btcli 11 accepts and tries to send', async () => {
    const home = await newHome()
    await runOnTerminal(findCommand(commands, 'btcli wallet create'), BTCLI_11, home)
    const online = commands.filter(command => !/^btcli wallet (create|new-hotkey|show) /.test(command))
    expect(online.length).toBeGreaterThan(3)
    for (const command of online) {
      // Nothing listens at this address, so no command can reach the real network.
      const line = command.replace('--network finney', '--network ws://127.0.0.1:1')
      expect(line).not.toBe(command)
      expect(await run(line, BTCLI_11, home), line).toMatchObject({
        code: 1,
        output: expect.stringContaining('could not reach ws://127.0.0.1:1'),
      })
    }
    const withWrongOption = `${online[0]?.replace('--network finney', '--network ws://127.0.0.1:1')} --wallet-name x`
    expect(await run(withWrongOption, BTCLI_11, home)).toMatchObject({ code: 2 })
  })

  it('has commands that btcli 9 accepts, and its key can be read', async () => {
    const home = await newHome()
    const commands = btcli9Commands(file)
    expect(commands.length).toBeGreaterThan(4)
    for (const command of commands) {
      expect(await run(`${command} --help`, BTCLI_9, home), command).toMatchObject({ code: 0 })
    }
    expect(await run(`${commands[0]} --wallet-hotkeys x --help`, BTCLI_9, home)).toMatchObject({ code: 2 })
    expect(await runOnTerminal(findCommand(commands, 'btcli wallet create'), BTCLI_9, home)).toMatchObject({ code: 0 })
    expect((await readHotkey(wallet(home))).ss58).toMatch(/^5/)
  })
})

/** Runs a service's `check` against a local chain on which the hotkey has uid 1. Returns the lines that it prints. */
async function check(role: 'miner' | 'validator', home: string, hotkey: string, ss58: string): Promise<string[]> {
  const owner = { coldkey: key('Alice'), hotkey: key('Alice') }
  const neurons = [owner, { coldkey: key('Bob'), hotkey: ss58 }].map(each => ({ ...each, stake: '5000000000000' }))
  await using chain = await startDevchain({
    blockMs: 1_000,
    genesis: { sudo: key('Alice'), balances: {}, subnets: [{ netuid: NETUID, tempo: 360, owner, neurons }] },
  })
  const state = join(home, 'state')
  await mkdir(state)
  const manager = join(home, 'manager.mjs')
  await writeFile(manager, 'export const createExecutorManager = () => ({ start() {} })')
  const env = {
    ...{ PATH: process.env.PATH, HOME: state, BITTENSOR_NETWORK: chain.url, BITTENSOR_NETUID: String(NETUID) },
    ...{ BITTENSOR_WALLET_DIRECTORY: walletsOf(home), BITTENSOR_WALLET_NAME: WALLET },
    ...{ BITTENSOR_WALLET_HOTKEY_NAME: hotkey, BITTENSOR_MINER_ADDRESS: '127.0.0.2', EXECUTOR_MANAGER: manager },
    ...{ EXECUTOR_GPU_DEVICE_IDS: 'none', LISTEN_HOST: '127.0.0.1' },
  }
  // Waits for the program here, because the chain closes when this function returns.
  return await new Promise(resolve => {
    execFile(process.execPath, [join(root, `packages/${role}/src/main.ts`), 'check'], { env }, (_, stdout) =>
      resolve(stdout.trim().split('\n')),
    )
  })
}
