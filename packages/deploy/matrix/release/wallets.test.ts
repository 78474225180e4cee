/**
 * The wallet commands of the documents, run as they stand there by Bittensor's own programs, and what our services say of
 * the keys that come out. `bin/setup --peers` installs those programs.
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
import { DOCUMENTS, olderCommands, ROLES, shellCommands } from '../../test/release/documents.ts'

const TODAYS = join(root, '.venvs/bittensor/bin')
const OLDER = join(root, '.venvs/bittensor-cli/bin')
const PASSWORD = 'Correct-Horse-9-Battery'
/** What the programs ask, and what an owner answers. */
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
  for (const programs of [TODAYS, OLDER]) {
    if (!existsSync(join(programs, 'btcli'))) throw new Error(`${programs}/btcli is missing: run bin/setup --peers`)
  }
  folder = await mkdtemp(join(tmpdir(), 'wallets-'))
})

afterAll(() => rm(folder, { recursive: true, force: true }))

async function newHome(): Promise<string> {
  return mkdtemp(join(folder, 'home-'))
}

/** Nobody's settings but these: btcli also reads BT_… variables. */
const environment = (programs: string, home: string) => ({
  ...{ PATH: `${programs}:${process.env.PATH}`, HOME: home, TERM: 'dumb', COLUMNS: '200' },
  ...{ BT_FALLBACK_ENDPOINTS: 'none', BT_ARCHIVE_ENDPOINTS: 'none' },
})

/** Runs a line on a terminal, as an owner does, and answers what it asks. */
function onTerminal(line: string, programs: string, home: string): Promise<{ code: number | null; said: string }> {
  const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    env: environment(programs, home),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let [said, unanswered] = ['', '']
  child.stdout.on('data', (data: Buffer) => {
    said += data
    unanswered += data
    const answer = ANSWERS.find(([question]) => question.test(unanswered))?.[1]
    if (answer === undefined) return
    unanswered = ''
    child.stdin.write(`${answer}\r`)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', code => resolve({ code, said: said.replaceAll('\r', '') }))
  })
}

/** Runs a line without a terminal. */
function run(line: string, programs: string, home: string): Promise<{ code: number; said: string }> {
  return new Promise(resolve => {
    const options = { env: environment(programs, home) }
    execFile('bash', ['-c', line], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), said: `${stdout}${stderr}` })
    })
  })
}

function only(commands: readonly string[], start: string): string {
  const [command, ...more] = commands.filter(each => each.startsWith(`${start} `))
  if (command === undefined || more.length > 0) throw new Error(`the document does not have exactly one '${start}'`)
  return command
}

const walletsOf = (home: string) => join(home, '.bittensor/wallets')

describe.each(ROLES)('the %s', role => {
  const { file, hotkey } = DOCUMENTS[role]
  const commands = shellCommands(file, 'btcli')
  const place = (home: string) => ({ directory: walletsOf(home), name: WALLET, hotkey })

  it('has keys made by the commands as they stand, and check takes the hotkey', async () => {
    const home = await newHome()
    expect(await onTerminal(only(commands, 'btcli wallet create'), TODAYS, home)).toMatchObject({ code: 0 })
    const coldkey = await readFile(join(walletsOf(home), WALLET, 'coldkey'), 'latin1')
    expect(coldkey.startsWith('$NACL'), 'the coldkey is encrypted').toBe(true)
    const { ss58 } = await readHotkey(place(home))
    const shown = await run(only(commands, 'btcli wallet show'), TODAYS, home)
    expect(shown).toMatchObject({ code: 0 })
    expect(shown.said).toContain(ss58)
    expect(shown.said).toContain(await readColdkeyPub(place(home)))
    const lines = await check(role, home, hotkey, ss58)
    expect(lines).toContain(`ok   hotkey: ${ss58}`)
    expect(lines).toContain(`ok   registration: the hotkey has uid 1 on subnet ${NETUID}`)
  })

  it('gets a new hotkey beside a coldkey that is there', async () => {
    const [first, home] = [await newHome(), await newHome()]
    await onTerminal(only(commands, 'btcli wallet create'), TODAYS, first)
    await cp(walletsOf(first), walletsOf(home), { recursive: true })
    await rm(join(walletsOf(home), WALLET, 'hotkeys'), { recursive: true })
    expect(await onTerminal(only(commands, 'btcli wallet new-hotkey'), TODAYS, home)).toMatchObject({ code: 0 })
    expect((await readHotkey(place(home))).ss58).not.toBe((await readHotkey(place(first))).ss58)
    expect((await stat(join(walletsOf(home), WALLET, 'hotkeys', hotkey))).mode & 0o077).toBe(0)
  })

  it('has commands for the chain that btcli 11 understands, up to asking the chain', async () => {
    const home = await newHome()
    await onTerminal(only(commands, 'btcli wallet create'), TODAYS, home)
    const online = commands.filter(command => !/^btcli wallet (create|new-hotkey|show) /.test(command))
    expect(online.length).toBeGreaterThan(3)
    for (const command of online) {
      // Nobody listens there: the way to the real network stays closed whatever the command does.
      const line = command.replace('--network finney', '--network ws://127.0.0.1:1')
      expect(line).not.toBe(command)
      expect(await run(line, TODAYS, home), line).toMatchObject({
        code: 1,
        said: expect.stringContaining('could not reach ws://127.0.0.1:1'),
      })
    }
    const mistaken = `${online[0]?.replace('--network finney', '--network ws://127.0.0.1:1')} --wallet-name x`
    expect(await run(mistaken, TODAYS, home)).toMatchObject({ code: 2 })
  })

  it('has commands that btcli 9 understands, and a key from it that is taken', async () => {
    const home = await newHome()
    const older = olderCommands(file)
    expect(older.length).toBeGreaterThan(4)
    for (const command of older) {
      expect(await run(`${command} --help`, OLDER, home), command).toMatchObject({ code: 0 })
    }
    expect(await run(`${older[0]} --wallet-hotkeys x --help`, OLDER, home)).toMatchObject({ code: 2 })
    expect(await onTerminal(only(older, 'btcli wallet create'), OLDER, home)).toMatchObject({ code: 0 })
    expect((await readHotkey(place(home))).ss58).toMatch(/^5/)
  })
})

/** The lines of a service's check, against a local chain on which the hotkey has uid 1. */
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
  // Awaited here, since the chain closes with this function.
  return await new Promise(resolve => {
    execFile(process.execPath, [join(root, `packages/${role}/src/main.ts`), 'check'], { env }, (_, stdout) =>
      resolve(stdout.trim().split('\n')),
    )
  })
}
