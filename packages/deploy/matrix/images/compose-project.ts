/** Runs a role from its compose file, in a folder like the one on a server. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import type { Role } from '../../src/compose-settings.ts'
import { addedCertificates, CHECKOUT, DOCKER_CLIENT, docker, TOOLS_IMAGE } from './images.ts'

const run = promisify(execFile)

/** How long a role and its database may take to become healthy on a busy machine. */
const HEALTHY_MS = 240_000
const COMPOSE_MS = 900_000
const RETRY_MS = 500
/** The socket of this machine's engine. */
const MACHINE_SOCKET = '/var/run/docker.sock'

export const COMPOSE_VERSIONS = ['v1', 'v2'] as const
type ComposeVersion = (typeof COMPOSE_VERSIONS)[number]
/** Each version's default value of DOCKER_BUILDKIT: v1 uses the classic builder, v2 BuildKit. */
const BUILDKIT = { v1: '0', v2: '1' }

export interface ComposeProjectOptions {
  role: Role
  compose: ComposeVersion
  /** Settings in `.env`, besides the project's name and the database's password. */
  settings: Readonly<Record<string, string>>
  /** The engine's socket. Default: this machine's. */
  socket?: string
  /** The text of a second compose file, which overrides the first. */
  override?: string
}

export class ComposeProject implements AsyncDisposable {
  readonly name: string
  readonly folder: string
  readonly #options: ComposeProjectOptions

  private constructor(folder: string, name: string, options: ComposeProjectOptions) {
    this.folder = folder
    this.name = name
    this.#options = options
  }

  /** Writes the folder. Starts no container. */
  static async create(options: ComposeProjectOptions): Promise<ComposeProject> {
    const { role, settings, override } = options
    const folder = await mkdtemp(join(tmpdir(), `compose-${role}-`))
    const name = `test-${role}-${randomBytes(4).toString('hex')}`
    await cp(join(CHECKOUT, 'docker', `compose.${role}.yml`), join(folder, 'compose.yml'))
    await cp(join(CHECKOUT, 'docker', 'monitoring'), join(folder, 'monitoring'), { recursive: true })
    if (override !== undefined) await writeFile(join(folder, 'override.yml'), override)
    const lines = { COMPOSE_PROJECT_NAME: name, POSTGRES_PASSWORD: randomBytes(12).toString('hex'), ...settings }
    const text = Object.entries(lines).map(([key, value]) => `${key}=${value}\n`)
    await writeFile(join(folder, '.env'), text.join(''), { mode: 0o600 })
    return new ComposeProject(folder, name, options)
  }

  /**
   * Runs Compose in a container that mounts the folder and the checkout at their own paths. Returns all output; throws
   * when Compose fails.
   */
  async compose(...args: string[]): Promise<string> {
    const { compose, override, socket = MACHINE_SOCKET } = this.#options
    const files = ['-f', 'compose.yml', ...(override === undefined ? [] : ['-f', 'override.yml'])]
    // docker-compose 1.29 builds with the client.
    const mounts = [
      `${socket}:${MACHINE_SOCKET}`,
      `${this.folder}:${this.folder}`,
      `${DOCKER_CLIENT}:/usr/bin/docker:ro`,
    ]
    const command = [
      ...['run', '--rm', '--workdir', this.folder, '--env', 'CA_CERTIFICATE', '--env', 'DOCKER_BUILDKIT'],
      ...[...mounts, `${CHECKOUT}:${CHECKOUT}:ro`].flatMap(mount => ['--volume', mount]),
      ...[TOOLS_IMAGE, `compose-${compose}`, ...files, ...args],
    ]
    const env = { ...process.env, CA_CERTIFICATE: await addedCertificates(), DOCKER_BUILDKIT: BUILDKIT[compose] }
    const { stdout, stderr } = await run('docker', command, { env, timeout: COMPOSE_MS, maxBuffer: 64 * 1024 * 1024 })
    return `${stdout}${stderr}`
  }

  /** Returns the id of a service's container, running or not. Empty if there is none. */
  async containerId(service: string): Promise<string> {
    const labels = [`project=${this.name}`, `service=${service}`].map(label => `label=com.docker.compose.${label}`)
    return await this.#docker('ps', '--all', '--quiet', ...labels.flatMap(label => ['--filter', label]))
  }

  /** Waits until a service runs and its health check succeeds. */
  async waitUntilHealthy(service: string): Promise<void> {
    await expect
      .poll(() => this.#state(service), { timeout: HEALTHY_MS, interval: RETRY_MS })
      .toMatchObject({ Running: true, Health: { Status: 'healthy' } })
  }

  async #state(service: string): Promise<unknown> {
    const container = await this.containerId(service)
    if (container === '') return 'no container'
    return JSON.parse(await this.#docker('inspect', '--format', '{{json .State}}', container))
  }

  /** Runs a command of the role's program in its container. Returns what it printed. */
  async runCommand(...args: string[]): Promise<string> {
    const { role } = this.#options
    return await this.#docker('exec', await this.containerId(role), 'node', `packages/${role}/src/main.ts`, ...args)
  }

  /** Queries the role's database. Returns a line for each row, with `|` between columns. */
  async sql(query: string): Promise<string> {
    const psql = ['psql', '--username=horde', '--dbname=horde', '--tuples-only', '--no-align', '--command', query]
    return await this.#docker('exec', await this.containerId('postgres'), ...psql)
  }

  /** Returns the role's log. */
  async logs(): Promise<string> {
    return await this.#docker('logs', await this.containerId(this.#options.role))
  }

  #docker(...args: string[]): Promise<string> {
    return docker('--host', `unix://${this.#options.socket ?? MACHINE_SOCKET}`, ...args)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.compose('--profile', 'monitoring', 'down', '--volumes', '--timeout', '30')
    await rm(this.folder, { recursive: true, force: true })
  }
}
