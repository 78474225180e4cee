/** Runs single functions of what the install scripts send to a server, on this machine, with fake programs first on PATH. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installScriptPath } from '../install-script.ts'
import { type Ended, run } from './run-program.ts'

/** The programs that the functions need beside the fakes. */
const SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

export class ServerParts implements AsyncDisposable {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async open(): Promise<ServerParts> {
    const parts = new ServerParts(await mkdtemp(join(tmpdir(), 'server-parts-')))
    await mkdir(join(parts.folder, 'bin'))
    // Nothing of this machine's Docker or NVIDIA is found: an empty system, but for what the test adds.
    await parts.fake('dpkg-query', 'exit 1')
    await parts.fake('pgrep', 'exit 1')
    return parts
  }

  /** A program in place of the system's. */
  async fake(name: string, body: string): Promise<void> {
    const path = join(this.folder, 'bin', name)
    await writeFile(path, `#!/bin/sh\n${body}\n`)
    await chmod(path, 0o755)
  }

  /** What os-release says. */
  async system(lines: Record<string, string>): Promise<void> {
    const text = Object.entries(lines).map(([name, value]) => `${name}="${value}"\n`)
    await writeFile(join(this.folder, 'os-release'), text.join(''))
  }

  /** Runs a function after all parts were read, as root of the server would. */
  async call(command: string, options: Record<string, string> = {}): Promise<Ended> {
    const script = await readFile(installScriptPath('miner'), 'utf8')
    const before = script.slice(0, script.lastIndexOf('main "$@"'))
    const settings = Object.entries({ opt_gpu: 'yes', opt_prefix: '', opt_class: 'always_on.test', ...options }).map(
      ([name, value]) => `${name}='${value}'`,
    )
    const payload = `${before}\n{ echo "${settings.join(' ')}"; print_server_command | sed '$d'; print_server_steps; } >"$FOLDER/payload"`
    const env = {
      FOLDER: this.folder,
      PATH: `${this.folder}/bin:${SYSTEM_PATH}`,
      HOME: this.folder,
      OS_RELEASE_FILE: join(this.folder, 'os-release'),
      BOOT_ID_FILE: join(this.folder, 'boot-id'),
      COMPUTE_HORDE_ROOT: join(this.folder, 'root'),
    }
    const written = await run('bash', ['-c', payload], { env })
    if (written.code !== 0) throw new Error(written.output)
    const setUp = `. "$FOLDER/payload"; PATH=$FOLDER/bin:${SYSTEM_PATH}; INSTALL_LOG=$FOLDER/log; set_role miner`
    return run('bash', ['-c', `${setUp}\n${command}`], { env })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}
