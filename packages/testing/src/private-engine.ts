/** Starts a private Docker engine in its own network namespace, with settings and programs of the test's choice. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { systemClock, withDeadline } from '@horde/kit/time'
import { copyLoadedData, LOADED_IMAGES } from './private-engine/loaded-data.ts'
import { asRoot, type Link, PrivateNetwork } from './private-network.ts'

/** How long dockerd may take to start, and to stop with its containers, in ms. */
const START_MS = 60_000
const STOP_MS = 60_000
/** The time between two looks at whether a daemon has paused, in ms. */
const PAUSE_POLL_MS = 20
/** Part of the log line that dockerd prints once it listens. */
const LISTENING = 'API listen on'

export const TLS_PORT = 2376

const REMAPPED = 'horde-remap'
/** The host's user id of a container's root, when the engine remaps users. */
export const FIRST_REMAPPED_ID = 300_000

const UNLINKED = ['--bridge=none', '--iptables=false', '--ip6tables=false']

const run = promisify(execFile)

export interface PrivateEngineOptions {
  /** The content of its daemon.json. */
  settings?: Record<string, unknown>
  /** Whether it has the images of executors and of their Python jobs. They are loaded once for all such engines. */
  hasImages?: boolean
  /** Whether it remaps the users of containers. */
  userNamespaces?: boolean
  /** A folder that comes first in its PATH. */
  programs?: string
  /** Further variables of its environment. */
  environment?: Record<string, string>
  /** Whether it has a bridge for containers, and a network link between them and this machine. */
  isLinked?: boolean
  /**
   * Returns the paths of its certificate, key, and clients' CA. With it, the engine also listens on the link's
   * TLS_PORT.
   */
  tls?(link: Link): Promise<{ ca: string; cert: string; key: string }>
}

export class PrivateEngine implements AsyncDisposable {
  readonly #folder: string
  readonly #options: PrivateEngineOptions
  /** Private, because a second engine in the machine's own network would remove the first one's bridge. */
  #network: PrivateNetwork | undefined
  #daemon: ChildProcess | undefined

  private constructor(folder: string, options: PrivateEngineOptions) {
    this.#folder = folder
    this.#options = options
  }

  static async start(options: PrivateEngineOptions = {}): Promise<PrivateEngine> {
    const engine = new PrivateEngine(await mkdtemp(join(tmpdir(), 'private-engine-')), options)
    try {
      // Remapped users must be able to reach the engine's data.
      await chmod(engine.#folder, 0o711)
      await engine.#configure(options.settings)
      if (options.hasImages) await copyLoadedData(engine.#dataRoot, loadImages)
      engine.#network = await PrivateNetwork.start(options.userNamespaces ? await engine.#remappedUsers() : [])
      await engine.#startDaemon()
      return engine
    } catch (error) {
      await engine[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Stops the engine and moves its data away. */
  async moveData(to: string): Promise<void> {
    await this.#stopDaemon()
    await asRoot('mv', this.#dataRoot, to)
  }

  get #dataRoot(): string {
    return join(this.#folder, 'data')
  }

  get socket(): string {
    return join(this.#folder, 'docker.sock')
  }

  /** For DOCKER_HOST. */
  get dockerHost(): string {
    return `unix://${this.socket}`
  }

  /** The network namespace that it runs in. */
  get network(): PrivateNetwork {
    if (!this.#network) throw new Error('the private engine is not started')
    return this.#network
  }

  /** Runs the docker client on this engine, and returns its stdout. */
  async docker(...args: string[]): Promise<string> {
    return (await run('docker', ['-H', this.dockerHost, ...args])).stdout.trim()
  }

  /** Copies images of the machine's engine. Layers that several of them share are copied once. */
  async load(...images: string[]): Promise<void> {
    const save = spawn('docker', ['save', ...images], { stdio: ['ignore', 'pipe', 'inherit'] })
    const load = spawn('docker', ['-H', this.dockerHost, 'load'], { stdio: ['pipe', 'ignore', 'inherit'] })
    const loaded = once(load, 'close')
    await pipeline(save.stdout, load.stdin)
    const [code] = await loaded
    if (code !== 0) throw new Error(`${images.join(', ')} could not be loaded: exit code ${code}`)
  }

  /**
   * Stops the daemon, and starts it again on the same data. With live-restore in its settings, containers keep running.
   *
   * @param settings the new content of its daemon.json; without it, the old content stays
   */
  async restart(settings?: Record<string, unknown>): Promise<void> {
    await this.#stopDaemon()
    if (settings) await this.#configure(settings)
    await this.#startDaemon()
  }

  /** Pauses the daemon with SIGSTOP. Containers keep running. */
  async pause(): Promise<void> {
    const pid = await this.#pid()
    await asRoot('kill', '-STOP', pid)
    // A thread stops only when it runs next, so the signal takes a moment.
    const isStopped = async () => /^State:\s+T/m.test(await readFile(`/proc/${pid}/status`, 'utf8'))
    while (!(await isStopped())) await systemClock.sleep(PAUSE_POLL_MS)
  }

  /** Continues a paused daemon. */
  async resume(): Promise<void> {
    await asRoot('kill', '-CONT', await this.#pid())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#daemon) {
      await this.resume().catch(() => {})
      const ids = (await this.docker('ps', '--all', '--quiet').catch(() => '')).split('\n').filter(Boolean)
      if (ids.length > 0) await this.docker('rm', '--force', ...ids).catch(() => {})
      await this.#stopDaemon()
    }
    await this.#network?.[Symbol.asyncDispose]()
    await asRoot('rm', '-rf', this.#folder)
  }

  async #configure(settings: Record<string, unknown> = {}): Promise<void> {
    const all = { ...settings, ...(this.#options.userNamespaces ? { 'userns-remap': REMAPPED } : {}) }
    await writeFile(join(this.#folder, 'daemon.json'), JSON.stringify(all))
  }

  /** Makes user files with a user to remap to. Returns the commands that mount them, which only this engine sees. */
  async #remappedUsers(): Promise<string[]> {
    const lines = {
      passwd: `${REMAPPED}:x:64990:64990::/:/usr/sbin/nologin`,
      group: `${REMAPPED}:x:64990:`,
      subuid: `${REMAPPED}:${FIRST_REMAPPED_ID}:65536`,
      subgid: `${REMAPPED}:${FIRST_REMAPPED_ID}:65536`,
    }
    return Promise.all(
      Object.entries(lines).map(async ([name, line]) => {
        const path = join(this.#folder, name)
        await writeFile(path, `${await readFile(`/etc/${name}`, 'utf8')}${line}\n`)
        return `mount --bind ${path} /etc/${name}`
      }),
    )
  }

  async #startDaemon(): Promise<void> {
    const { programs, environment = {} } = this.#options
    const path = [...(programs ? [programs] : []), process.env.PATH].join(':')
    const variables = Object.entries({ ...environment, PATH: path }).map(([name, value]) => `${name}=${value}`)
    const folders = [`--data-root=${this.#dataRoot}`, `--exec-root=${this.#folder}/exec`]
    const files = [`--config-file=${this.#folder}/daemon.json`, `--pidfile=${this.#folder}/docker.pid`]
    const network = this.#options.isLinked ? await this.#linkedOptions() : UNLINKED
    const command = ['env', ...variables, 'dockerd', ...folders, ...files, ...network, `--host=${this.dockerHost}`]
    const [program, ...args] = this.network.inside(...command)
    const daemon = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#daemon = daemon
    await withDeadline(untilListening(daemon), START_MS, 'a private engine to start')
    await asRoot('chmod', '666', this.socket)
  }

  async #linkedOptions(): Promise<string[]> {
    const link = await this.network.link()
    const tls = await this.#options.tls?.(link)
    if (!tls) return [`--bip=${link.bridge}`]
    const certificates = [`--tlscacert=${tls.ca}`, `--tlscert=${tls.cert}`, `--tlskey=${tls.key}`]
    return [`--bip=${link.bridge}`, '--tlsverify', ...certificates, `--host=tcp://${link.there}:${TLS_PORT}`]
  }

  async #pid(): Promise<string> {
    return (await readFile(`${this.#folder}/docker.pid`, 'utf8')).trim()
  }

  async #stopDaemon(): Promise<void> {
    const daemon = this.#daemon
    if (!daemon) return
    const ended = daemon.exitCode !== null || daemon.signalCode !== null || once(daemon, 'exit')
    const pid = await this.#pid().catch(() => '')
    if (pid !== '') await asRoot('kill', '-TERM', pid)
    await withDeadline(Promise.resolve(ended), STOP_MS, 'a private engine to stop')
    this.#daemon = undefined
  }
}

/** Makes the data of an engine with the images, at a path. */
async function loadImages(path: string): Promise<void> {
  await using engine = await PrivateEngine.start()
  await engine.load(...LOADED_IMAGES)
  await engine.moveData(path)
}

/** Resolves once the daemon listens. Rejects with its last lines when it exits before. */
async function untilListening(daemon: ChildProcess): Promise<void> {
  if (!daemon.stderr) throw new Error('the daemon has no stderr')
  const lines = createInterface({ input: daemon.stderr })
  const log: string[] = []
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  lines.on('line', line => {
    log.push(line)
    if (line.includes(LISTENING)) resolve()
  })
  daemon.once('error', reject)
  daemon.once('exit', code => reject(new Error(`dockerd ended with ${code}: ${log.slice(-5).join('\n')}`)))
  await promise
}
