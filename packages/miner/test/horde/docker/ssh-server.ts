/** OpenSSH's server in a private network, for one key of root's. */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { WAIT_MS } from '@horde/testing/limits'
import { asRoot, type PrivateNetwork } from '@horde/testing/private-network'
import { vi } from 'vitest'

const run = promisify(execFile)
const PORT = 2222

export class TestSshServer implements AsyncDisposable {
  readonly port = PORT
  readonly folder: string
  /** The private key that it accepts. */
  readonly identity: string
  /** Its own key, as clients know it. */
  readonly knownHosts: string
  #process: ChildProcess | undefined

  private constructor(folder: string) {
    this.folder = folder
    this.identity = join(folder, 'identity')
    this.knownHosts = join(folder, 'known_hosts')
  }

  static async start(network: PrivateNetwork): Promise<TestSshServer> {
    const server = new TestSshServer(await mkdtemp(join(tmpdir(), 'ssh-server-')))
    const { there } = await network.link()
    await newKey(join(server.folder, 'host_key'))
    await newKey(server.identity)
    const hostKey = await readFile(join(server.folder, 'host_key.pub'), 'utf8')
    await writeFile(server.knownHosts, `[${there}]:${PORT} ${hostKey}`)
    const config = {
      ListenAddress: there,
      Port: PORT,
      HostKey: join(server.folder, 'host_key'),
      AuthorizedKeysFile: join(server.folder, 'identity.pub'),
      PidFile: join(server.folder, 'pid'),
      PermitRootLogin: 'prohibit-password',
      PasswordAuthentication: 'no',
      KbdInteractiveAuthentication: 'no',
      // The keys lie in a folder for temporary files.
      StrictModes: 'no',
    }
    const lines = Object.entries(config).map(([name, value]) => `${name} ${value}\n`)
    await writeFile(join(server.folder, 'config'), lines.join(''))
    await chmod(server.folder, 0o755)
    await server.resume(network)
    return server
  }

  /** Starts it, or starts it again. */
  async resume(network: PrivateNetwork): Promise<void> {
    const { there } = await network.link()
    await asRoot('mkdir', '-p', '/run/sshd')
    const [program, ...args] = network.inside('/usr/sbin/sshd', '-D', '-e', '-f', join(this.folder, 'config'))
    const server = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#process = server
    let output = ''
    server.stderr.on('data', chunk => {
      output += chunk
    })
    const answers = async () => {
      if (server.exitCode !== null) throw new Error(`sshd ended: ${output}`)
      const socket = connect(PORT, there)
      await once(socket, 'connect').finally(() => socket.destroy())
    }
    await vi.waitFor(answers, { timeout: WAIT_MS })
  }

  /** Refuses new connections; the existing ones go on. */
  async stop(): Promise<void> {
    const server = this.#process
    this.#process = undefined
    if (!server || server.exitCode !== null) return
    const ended = once(server, 'exit')
    await asRoot('kill', '-TERM', (await readFile(join(this.folder, 'pid'), 'utf8')).trim())
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** Makes a key, and its public half at path.pub. */
export async function newKey(path: string): Promise<void> {
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', path])
}
