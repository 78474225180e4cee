/** The machine of a server's owner: a wallet, an SSH configuration, and the install scripts. */
import type { ChildProcess } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type InstalledRole, installScriptPath } from '../install-script.ts'
import { type ProgramResult, runProgram } from './run-program.ts'
import type { TestServer } from './test-server.ts'

export const HOTKEY_ADDRESS = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY'
const COLDKEY_ADDRESS = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty'
/** The seed of HOTKEY_ADDRESS: Alice's, the public test account of development chains. */
export const HOTKEY_SEED = 'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a'
/** The content of the coldkey's file. Tests search the server for it, because no program may read it. */
export const COLDKEY_SECRET = 'coldkey-secret-that-stays-here'
export const OWNER_PASSWORD = 'correct horse'

export interface InstallOptions {
  /** The server's user: root, deploy (sudo without a password) or owner (sudo with one). Default: root. */
  user?: string
  /** More arguments of the script. */
  args?: readonly string[]
  /** Pipes the script into bash, like `curl … | bash`. */
  piped?: boolean
  /**
   * What the owner types on a terminal when the script prints each question. Default: no terminal, and --yes is passed.
   */
  answers?: readonly { when: string; type: string }[]
  /** Environment variables of the script, besides those of this process. */
  env?: Record<string, string>
  /** The path of the hotkey's file. Default: that of the owner's wallet. */
  hotkey?: string
  /** The path of the install script. Default: that of this checkout. */
  script?: string
  /** An SSH destination that the owner's SSH configuration defines. Default: the user on the test server's port. */
  destination?: string
  timeoutMs?: number
  /** Called at each new output with all output so far. */
  onOutput?(output: string, child: ChildProcess): void
}

export class Owner implements AsyncDisposable {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Creates the owner's folder with a wallet whose paths contain spaces. */
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

  /** The path of the hotkey's file. */
  get hotkey(): string {
    return join(this.folder, 'my wallets', 'first', 'hotkeys', 'my hotkey')
  }

  /** Writes a shell script that the install scripts find before the machine's program of that name. */
  async writeProgram(name: string, body: string): Promise<void> {
    const path = join(this.folder, 'bin', name)
    await writeFile(path, `#!/bin/sh\n${body}\n`)
    await chmod(path, 0o755)
  }

  /** Replaces the SSH configuration. Known hosts always come from the owner's folder alone. */
  async configureSsh(lines: string): Promise<void> {
    const knownHosts = [
      'Host *',
      `  UserKnownHostsFile ${this.folder}/known_hosts`,
      '  StrictHostKeyChecking accept-new',
      '  GlobalKnownHostsFile /dev/null',
    ]
    await writeFile(join(this.folder, 'ssh_config'), `${lines}\n${knownHosts.join('\n')}\n`)
  }

  /** Runs an install script against a server, with the destination and key that `options` choose. */
  async install(role: InstalledRole, server: TestServer, options: InstallOptions = {}): Promise<ProgramResult> {
    const { user = 'root', destination = `${user}@127.0.0.1`, args = [] } = options
    const connection = options.destination ? [] : ['--ssh-port', String(server.port), '--identity', server.identity]
    return this.runScript(role, [destination, options.hotkey ?? this.hotkey, ...connection, ...args], options)
  }

  /** Runs an install script with these arguments, and with --yes unless `options` has answers. */
  async runScript(role: InstalledRole, args: readonly string[], options: InstallOptions = {}): Promise<ProgramResult> {
    const { piped = false, answers, onOutput, timeoutMs } = options
    const limits = { ...(onOutput ? { onOutput } : {}), ...(timeoutMs ? { timeoutMs } : {}) }
    const env = { ...process.env, PATH: `${this.folder}/bin:${process.env.PATH}`, ...options.env }
    const path = options.script ?? installScriptPath(role)
    const command = piped ? ['-s', '-', ...args] : [path, ...args]
    if (answers) return this.#onTerminal(['bash', ...command], answers, env)
    const input = piped ? await readFile(path, 'utf8') : ''
    return runProgram('bash', [...command, '--yes'], { env, input, ...limits })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }

  /** Runs a command on a terminal, which the program `script` of util-linux provides, and types the answers. */
  #onTerminal(
    command: readonly string[],
    answers: readonly { when: string; type: string }[],
    env: NodeJS.ProcessEnv,
  ): Promise<ProgramResult> {
    const line = command.map(word => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
    const remaining = [...answers]
    let answeredUpTo = 0
    return runProgram('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
      env,
      keepInputOpen: true,
      onOutput: (output, child) => {
        const [next] = remaining
        const at = next ? output.indexOf(next.when, answeredUpTo) : -1
        if (!next || at === -1) return
        answeredUpTo = at + next.when.length
        remaining.shift()
        child.stdin?.write(`${next.type}\n`)
      },
    })
  }
}

/** Returns the content of a hotkey's file, which is not encrypted. */
function hotkeyFile() {
  return {
    accountId: '0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d',
    publicKey: '0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d',
    secretPhrase: null,
    secretSeed: `0x${HOTKEY_SEED}`,
    ss58Address: HOTKEY_ADDRESS,
  }
}
