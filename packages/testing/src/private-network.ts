/**
 * A network namespace of a test's own, with mounts of its own: another machine, but for the files and processes of this
 * one. Needs root, or sudo without a password.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { withDeadline } from '@horde/kit/time'

/** How long the namespaces may take to be there, in ms. */
const START_MS = 60_000

const run = promisify(execFile)
const SUDO = process.geteuid?.() === 0 ? [] : ['sudo', '-n']

/** Where the two ends of a link are found, as IPv4 addresses. */
export interface Link {
  /** This machine, as seen from there. */
  machine: string
  /** The private network, as seen from here. */
  there: string
  /** An address with a prefix length for a bridge there, in nobody's way. */
  bridge: string
}

export class PrivateNetwork implements AsyncDisposable {
  /** Lives in the namespaces, so that they outlast whatever else does. */
  readonly #keeper: ChildProcess
  readonly #pid: string
  #link: Link | undefined

  private constructor(keeper: ChildProcess, pid: string) {
    this.#keeper = keeper
    this.#pid = pid
  }

  /** @param first shell commands to run there before anything else */
  static async start(first: readonly string[] = []): Promise<PrivateNetwork> {
    const script = [...first, 'echo $$', 'exec sleep infinity'].join(' && ')
    const namespaces = ['unshare', '--net', '--mount', '--propagation', 'private']
    const [program = '', ...args] = [...SUDO, ...namespaces, 'sh', '-c', script]
    const keeper = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const [pid] = await withDeadline(once(createInterface({ input: keeper.stdout }), 'line'), START_MS, 'namespaces')
    return new PrivateNetwork(keeper, pid)
  }

  /** The command that runs a command there as root. */
  inside(...command: string[]): [string, ...string[]] {
    return [...SUDO, 'nsenter', '--target', this.#pid, '--net', '--mount', ...command] as [string, ...string[]]
  }

  /** Joins the network to this machine by a cable, and by nothing else. Later calls give the same link. */
  async link(): Promise<Link> {
    if (this.#link) return this.#link
    const name = `test${randomBytes(5).toString('hex')}`
    // Of the range for benchmarks, which no network uses; ip refuses what another test has taken.
    const part = `198.${randomInt(18, 20)}.${randomInt(256)}`
    const link = { machine: `${part}.1`, there: `${part}.2`, bridge: `${part}.129/25` }
    await asRoot('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'cable', 'netns', this.#pid)
    await asRoot('ip', 'address', 'add', `${link.machine}/30`, 'dev', name)
    await asRoot('ip', 'link', 'set', name, 'up')
    for (const words of ['link set lo up', `address add ${link.there}/30 dev cable`, 'link set cable up']) {
      await runAll(this.inside('ip', ...words.split(' ')))
    }
    await runAll(this.inside('ip', 'route', 'add', 'default', 'via', link.machine))
    this.#link = link
    return link
  }

  /** What still runs there goes on, until it ends by itself. */
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
