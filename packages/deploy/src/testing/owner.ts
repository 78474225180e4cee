/** The owner of a server: a machine with a wallet, an SSH configuration of its own, and the install scripts. */
import type { ChildProcess } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type InstalledRole, installScriptPath } from '../install-script.ts'
import { type Ended, run } from './run-program.ts'
import type { TestServer } from './test-server.ts'

export const HOTKEY_ADDRESS = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY'
const COLDKEY_ADDRESS = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty'
/** The public development seed of Alice, which is whose address this is. */
export const HOTKEY_SEED = 'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a'
/** What no program may read: the test looks for it on the server. */
export const COLDKEY_SECRET = 'coldkey-secret-that-stays-here'
export const OWNER_PASSWORD = 'correct horse'

export interface InstallOptions {
  /** root, deploy (sudo without a password) or owner (with one); root by default. */
  user?: string
  args?: readonly string[]
  /** Comes through a pipe into bash, as from curl. */
  piped?: boolean
  /** What is typed on a terminal when the script asks; without it there is no terminal, and --yes is passed. */
  answers?: readonly { when: string; type: string }[]
  env?: Record<string, string>
  hotkey?: string
  destination?: string
  withinMs?: number
  /** Hears everything it printed so far, whenever there is more. */
  onOutput?(output: string, child: ChildProcess): void
}

export class Owner implements AsyncDisposable {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async open(): Promise<Owner> {
    const owner = new Owner(await mkdtemp(join(tmpdir(), 'owner-')))
    const wallet = join(owner.folder, 'my wallets', 'first')
    await mkdir(join(wallet, 'hotkeys'), { recursive: true })
    await writeFile(join(wallet, 'hotkeys', 'my hotkey'), JSON.stringify(hotkeyFile()), { mode: 0o600 })
    await writeFile(join(wallet, 'coldkeypub.txt'), JSON.stringify({ ss58Address: COLDKEY_ADDRESS }))
    await writeFile(join(wallet, 'coldkey'), COLDKEY_SECRET, { mode: 0o600 })
    await mkdir(join(owner.folder, 'bin'))
    await owner.writeProgram('ssh', `exec /usr/bin/ssh -F '${owner.folder}/ssh_config' "$@"`)
    await owner.configureSsh('')
    return owner
  }

  get hotkey(): string {
    return join(this.folder, 'my wallets', 'first', 'hotkeys', 'my hotkey')
  }

  /** A program that the scripts find before the machine's own. */
  async writeProgram(name: string, body: string): Promise<void> {
    const path = join(this.folder, 'bin', name)
    await writeFile(path, `#!/bin/sh\n${body}\n`)
    await chmod(path, 0o755)
  }

  /** Replaces what ~/.ssh/config says, but for the known hosts, which are the owner's own. */
  async configureSsh(lines: string, strict = 'accept-new'): Promise<void> {
    const always = `Host *\n  UserKnownHostsFile ${this.folder}/known_hosts\n  StrictHostKeyChecking ${strict}\n  GlobalKnownHostsFile /dev/null\n`
    await writeFile(join(this.folder, 'ssh_config'), `${lines}\n${always}`)
  }

  /** Runs an install script against a server. */
  async install(role: InstalledRole, server: TestServer, options: InstallOptions = {}): Promise<Ended> {
    const { user = 'root', destination = `${user}@127.0.0.1`, args = [] } = options
    const connection = options.destination ? [] : ['--ssh-port', String(server.port), '--identity', server.identity]
    return this.script(role, [destination, options.hotkey ?? this.hotkey, ...connection, ...args], options)
  }

  /** Runs an install script with these arguments. */
  async script(role: InstalledRole, args: readonly string[], options: InstallOptions = {}): Promise<Ended> {
    const { piped = false, answers, onOutput, withinMs } = options
    const heard = { ...(onOutput ? { onOutput } : {}), ...(withinMs ? { withinMs } : {}) }
    const env = { ...process.env, PATH: `${this.folder}/bin:${process.env.PATH}`, ...options.env }
    const path = installScriptPath(role)
    const command = piped ? ['-s', '-', ...args] : [path, ...args]
    if (answers) return this.#onTerminal(['bash', ...command], answers, env)
    const input = piped ? await readFile(path, 'utf8') : ''
    return run('bash', [...command, '--yes'], { env, input, ...heard })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }

  /** util-linux' script gives it a terminal. */
  #onTerminal(
    command: readonly string[],
    answers: readonly { when: string; type: string }[],
    env: NodeJS.ProcessEnv,
  ): Promise<Ended> {
    const line = command.map(word => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
    const left = [...answers]
    let heard = 0
    return run('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
      env,
      keepInputOpen: true,
      onOutput: (output, child) => {
        const [next] = left
        const at = next ? output.indexOf(next.when, heard) : -1
        if (!next || at === -1) return
        heard = at + next.when.length
        left.shift()
        child.stdin?.write(`${next.type}\n`)
      },
    })
  }
}

function hotkeyFile() {
  return {
    accountId: '0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d',
    publicKey: '0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d',
    secretPhrase: null,
    secretSeed: `0x${HOTKEY_SEED}`,
    ss58Address: HOTKEY_ADDRESS,
  }
}
