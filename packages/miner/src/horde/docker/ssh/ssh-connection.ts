/** One run of OpenSSH's own client, which leads a socket of this machine to one of another host. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { withDeadline } from '@horde/kit/time'
import type { SshEngine } from '../engine-address.ts'

/** How long the host may take to let this miner in, in seconds. */
export const CONNECT_SECONDS = 10
/** How often a silent host is asked whether it lives, in seconds, and how many answers it may owe. */
const ALIVE_SECONDS = 15
const ALIVE_COUNT = 3
/** How long it may take to end, in milliseconds, before it is killed. */
const STOP_MS = 5_000
const KEPT_LINES = 20
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' }

/**
 * Ends ssh when it is told to, and when its stdin ends without a word: then the miner was killed, and the socket's folder goes
 * as well. The shell outlives neither of them.
 */
const KEEPER = `
  exec 3<&0
  ssh "$@" </dev/null 3<&- &
  ssh=$!
  (read -r _ <&3 || rm -rf "$0"; kill "$ssh") 2>/dev/null &
  reader=$!
  wait "$ssh"
  code=$?
  kill "$reader" 2>/dev/null
  exit "$code"
`

/** What ssh says, in words for the operator. */
const MEANINGS: readonly [RegExp, string][] = [
  [/ssh: not found/, 'ssh is not installed on this machine'],
  [/Host key verification failed|host key is known for/, 'its key is not the one in ssh.known_hosts'],
  [/UNPROTECTED PRIVATE KEY|bad permissions/i, 'others may read the file ssh.identity: ssh does not use it'],
  [/Permission denied|Too many authentication failures/, 'it does not accept the key ssh.identity'],
  [/Could not resolve hostname/, 'its name is unknown'],
  [/Connection refused/, 'nobody listens there'],
  [/timed out|No route to host|unreachable|not responding/i, 'it does not answer'],
  [/administratively prohibited|forwarding (failed|disabled)/i, 'it does not let this user forward sockets'],
  [/open failed/, 'there is no engine at remote_socket, or its user may not use it: is it in the group docker?'],
]

export class SshConnection implements AsyncDisposable {
  /** Resolves when it has ended. */
  readonly ended: Promise<unknown>
  /** Resolves with the first thing that ssh says. */
  readonly hasSpoken: Promise<unknown>
  readonly #process: ChildProcess
  readonly #said: string[] = []

  /** @param socket the path on this machine, in a folder of its own; ssh makes it once it has been let in */
  constructor(engine: SshEngine, socket: string) {
    // A group of its own: Ctrl-C in the miner's terminal reaches the miner alone.
    const process = spawn('sh', ['-c', KEEPER, dirname(socket), ...sshArguments(engine, socket)], {
      env: ENVIRONMENT,
      stdio: ['pipe', 'ignore', 'pipe'],
      detached: true,
    })
    this.#process = process
    this.ended = Promise.race([once(process, 'close'), once(process, 'error')]).catch(() => {})
    const lines = createInterface({ input: process.stderr }).on('line', line => this.#heard(line))
    this.hasSpoken = new Promise(resolve => lines.once('line', resolve))
    process.stdin.on('error', () => {})
  }

  /** What ssh had to say, in words for the operator; undefined: nothing. */
  get trouble(): string | undefined {
    const said = this.#said.join('\n')
    const meaning = MEANINGS.find(([pattern]) => pattern.test(said))?.[1]
    return meaning ?? (said === '' ? undefined : `ssh says: ${this.#said.at(-1)}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.stdin?.end('end\n')
    await withDeadline(this.ended, STOP_MS, 'ssh to end').catch(() => this.#kill())
    await this.ended
  }

  /** The last lines: a connection may hold for months. */
  #heard(line: string): void {
    this.#said.push(line)
    if (this.#said.length > KEPT_LINES) this.#said.shift()
  }

  #kill(): void {
    const { pid } = this.#process
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  }
}

/**
 * Nothing is taken from this user's own settings, no password is asked for, and a host whose key is not the known one is
 * refused, whatever it says.
 */
function sshArguments({ ssh, remoteSocket }: SshEngine, socket: string): string[] {
  const options = {
    BatchMode: 'yes',
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: `"${ssh.knownHosts}"`,
    GlobalKnownHostsFile: '/dev/null',
    UpdateHostKeys: 'no',
    IdentityFile: `"${ssh.identity}"`,
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    PreferredAuthentications: 'publickey',
    ConnectTimeout: CONNECT_SECONDS,
    ServerAliveInterval: ALIVE_SECONDS,
    ServerAliveCountMax: ALIVE_COUNT,
    ExitOnForwardFailure: 'yes',
    StreamLocalBindMask: '0177',
    LogLevel: 'INFO',
  }
  const given = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const where = ['-p', String(ssh.port), '-l', ssh.user, '--', ssh.host]
  return ['-F', 'none', '-N', '-T', ...given, '-L', `${socket}:${remoteSocket}`, ...where]
}
