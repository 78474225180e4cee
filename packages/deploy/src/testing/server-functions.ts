/**
 * Runs single functions of the shell code that the install scripts send to a server. They run on this machine, with
 * fake programs first on PATH.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installScriptPath } from '../install-script.ts'
import { type ProgramResult, runProgram } from './run-program.ts'

/** Where the functions find the programs that no test has replaced. */
const SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

export class ServerFunctions implements AsyncDisposable {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Creates a server that has no package, no Docker process and no os-release file. */
  static async open(): Promise<ServerFunctions> {
    const functions = new ServerFunctions(await mkdtemp(join(tmpdir(), 'server-functions-')))
    await mkdir(join(functions.folder, 'bin'))
    // Hides this machine's packages and processes: the server has only what the test adds.
    await functions.fake('dpkg-query', 'exit 1')
    await functions.fake('pgrep', 'exit 1')
    return functions
  }

  /** Replaces a program of the system with a shell script. */
  async fake(name: string, body: string): Promise<void> {
    const path = join(this.folder, 'bin', name)
    await writeFile(path, `#!/bin/sh\n${body}\n`)
    await chmod(path, 0o755)
  }

  /** Writes the server's os-release file. */
  async setOsRelease(fields: Record<string, string>): Promise<void> {
    const text = Object.entries(fields).map(([name, value]) => `${name}="${value}"\n`)
    await writeFile(join(this.folder, 'os-release'), text.join(''))
  }

  /**
   * Runs shell code on the server, with all its functions defined and the role set to miner.
   * @param options variables that the owner's command line would set, without quotes in their values
   */
  async call(command: string, options: Record<string, string> = {}): Promise<ProgramResult> {
    const script = await readFile(installScriptPath('miner'), 'utf8')
    const functions = script.slice(0, script.lastIndexOf('main "$@"'))
    const settings = Object.entries({ opt_gpu: 'yes', opt_prefix: '', opt_class: 'always_on.test', ...options }).map(
      ([name, value]) => `${name}='${value}'`,
    )
    const print = `echo "${settings.join(' ')}"; print_server_command | sed '$d'; print_server_steps`
    const payload = `${functions}\n{ ${print}; } >"$FOLDER/payload"`
    const env = {
      FOLDER: this.folder,
      PATH: `${this.folder}/bin:${SYSTEM_PATH}`,
      HOME: this.folder,
      OS_RELEASE_FILE: join(this.folder, 'os-release'),
      BOOT_ID_FILE: join(this.folder, 'boot-id'),
      COMPUTE_HORDE_ROOT: join(this.folder, 'root'),
    }
    const written = await runProgram('bash', ['-c', payload], { env })
    if (written.code !== 0) throw new Error(written.output)
    const setUp = `. "$FOLDER/payload"; PATH=$FOLDER/bin:${SYSTEM_PATH}; INSTALL_LOG=$FOLDER/log; set_role miner`
    return runProgram('bash', ['-c', `${setUp}\n${command}`], { env })
  }

  /** Does the same as `call`, but returns the output alone, without the marks that the owner's script reads. */
  async outputOf(command: string, options?: Record<string, string>): Promise<string> {
    return (await this.call(command, options)).output.replaceAll('@compute-horde@ ', '')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}
