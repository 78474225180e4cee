/** One run of OpenSSH's own client, which forwards a socket of this machine to one of another host. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { withDeadline } from '@horde/kit/time'
import type { SshEngine } from '../engine-address.ts'

/** How long the host may take to accept the login, in seconds. */
export const CONNECT_SECONDS = 10
/** How often ssh probes a silent host, in seconds, and after how many missing answers it gives up. */
const ALIVE_SECONDS = 15
const ALIVE_COUNT = 3
/** How long ssh may take to end before it is killed, in ms. */
const STOP_MS = 5_000
const KEPT_LINES = 20
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' }

/**
 * Ends ssh when a line comes on stdin. When stdin ends without one, the miner was killed: then it also removes the
 * socket's folder. The shell ends with ssh.
 */
const SUPERVISOR = `
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

/** What ssh's error sentences mean, for the operator. */
const MEANINGS: readonly [RegExp, string][] = [
  [/ssh: not found/, 'ssh is not installed on this machine'],
  [/Host key verification failed|host key is known for/, 'its key is not the one in ssh.known_hosts'],
  [/UNPROTECTED PRIVATE KEY|bad permissions/i, 'others may read the file ssh.identity: ssh does not use it'],
  [/Permission denied|Too many authentication failures/, 'it does not accept the key ssh.identity'],
  [/Could not resolve hostname/, 'its name is unknown'],
  [/Connection refused/, 'nothing listens there'],
  [/timed out|No route to host|unreachable|not responding/i, 'it does not answer'],
  [/administratively prohibited|forwarding (failed|disabled)/i, 'it does not let this user forward sockets'],
  [/open failed/, 'there is no engine at remote_socket, or its user may not use it: is it in the group docker?'],
]

export class SshConnection implements AsyncDisposable {
  /** Resolves when ssh has ended. */
  readonly ended: Promise<unknown>
  /** Resolves when ssh has printed its first line. */
  readonly hasPrinted: Promise<unknown>
  readonly #process: ChildProcess
  readonly #lines: string[] = []

  /** @param socket the path on this machine, in a folder of its own; ssh creates it after the login */
  constructor(engine: SshEngine, socket: string) {
    // A group of its own: Ctrl-C in the miner's terminal reaches the miner alone.
    const process = spawn('sh', ['-c', SUPERVISOR, dirname(socket), ...sshArguments(engine, socket)], {
      env: ENVIRONMENT,
      stdio: ['pipe', 'ignore', 'pipe'],
      detached: true,
    })
    this.#process = process
    this.ended = Promise.race([once(process, 'close'), once(process, 'error')]).catch(() => {})
    const lines = createInterface({ input: process.stderr }).on('line', line => this.#keep(line))
    this.hasPrinted = new Promise(resolve => lines.once('line', resolve))
    process.stdin.on('error', () => {})
  }

  /** Why ssh failed, for the operator; undefined when it printed nothing. */
  get failure(): string | undefined {
    const text = this.#lines.join('\n')
    const meaning = MEANINGS.find(([pattern]) => pattern.test(text))?.[1]
    return meaning ?? (text === '' ? undefined : `ssh says: ${this.#lines.at(-1)}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.stdin?.end('end\n')
    await withDeadline(this.ended, STOP_MS, 'ssh to end').catch(() => this.#kill())
    await this.ended
  }

  /** Keeps only the last lines, because a connection may last for months. */
  #keep(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > KEPT_LINES) this.#lines.shift()
  }

  #kill(): void {
    const { pid } = this.#process
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  }
}

/**
 * Takes nothing from the user's own ssh settings, asks for no password, and refuses a host whose key is not in the
 * known hosts.
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
  const flags = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const target = ['-p', String(ssh.port), '-l', ssh.user, '--', ssh.host]
  return ['-F', 'none', '-N', '-T', ...flags, '-L', `${socket}:${remoteSocket}`, ...target]
}
