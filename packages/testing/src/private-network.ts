/**
 * Makes a private network namespace with private mounts. To a test it is like another machine that shares this
 * machine's files and processes. Needs root, or sudo without a password.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { withDeadline } from '@horde/kit/time'

/** How long making the namespaces may take, in ms. */
const START_MS = 60_000

const run = promisify(execFile)
const SUDO = process.geteuid?.() === 0 ? [] : ['sudo', '-n']

/** The IPv4 addresses of both ends of a link. */
export interface Link {
  /** This machine's address, for the private network. */
  machine: string
  /** The private network's address, for this machine. */
  there: string
  /** A free address, with its prefix length, for a bridge in the private network. */
  bridge: string
}

export class PrivateNetwork implements AsyncDisposable {
  /** A process in the namespaces, which keeps them alive. */
  readonly #keeper: ChildProcess
  readonly #pid: string
  #link: Link | undefined

  private constructor(keeper: ChildProcess, pid: string) {
    this.#keeper = keeper
    this.#pid = pid
  }

  /** @param first shell commands that run in the namespaces before anything else */
  static async start(first: readonly string[] = []): Promise<PrivateNetwork> {
    const script = [...first, 'echo $$', 'exec sleep infinity'].join(' && ')
    const namespaces = ['unshare', '--net', '--mount', '--propagation', 'private']
    const [program = '', ...args] = [...SUDO, ...namespaces, 'sh', '-c', script]
    const keeper = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const [pid] = await withDeadline(once(createInterface({ input: keeper.stdout }), 'line'), START_MS, 'namespaces')
    return new PrivateNetwork(keeper, pid)
  }

  /** Returns the command line that runs a command in the namespaces as root. */
  inside(...command: string[]): [string, ...string[]] {
    return [...SUDO, 'nsenter', '--target', this.#pid, '--net', '--mount', ...command] as [string, ...string[]]
  }

  /** Connects the network to this machine, and to nothing else. Later calls return the same link. */
  async link(): Promise<Link> {
    if (this.#link) return this.#link
    const name = `test${randomBytes(5).toString('hex')}`
    // From 198.18.0.0/15, the range for benchmarks. ip fails when another test uses the same part.
    const part = `198.${randomInt(18, 20)}.${randomInt(256)}`
    const link = { machine: `${part}.1`, there: `${part}.2`, bridge: `${part}.129/25` }
    await asRoot('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'cable', 'netns', this.#pid)
    await asRoot('ip', 'address', 'add', `${link.machine}/30`, 'dev', name)
    await asRoot('ip', 'link', 'set', name, 'up')
    for (const args of ['link set lo up', `address add ${link.there}/30 dev cable`, 'link set cable up']) {
      await runAll(this.inside('ip', ...args.split(' ')))
    }
    await runAll(this.inside('ip', 'route', 'add', 'default', 'via', link.machine))
    this.#link = link
    return link
  }

  /** Processes that still run in the namespaces keep running until they end by themselves. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#keeper, 'exit')
    await asRoot('kill', '-KILL', this.#pid)
    await ended
  }
}

/** Runs a command as root on this machine. */
export async function asRoot(...command: string[]): Promise<void> {
  await runAll([...SUDO, ...command])
}

async function runAll([program = '', ...args]: readonly string[]): Promise<void> {
  await run(program, args)
}
