/** A role that runs from its compose file, in a folder like the one that it has on a server. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import type { Role } from '../../src/compose-settings.ts'
import { addedAuthorities, CHECKOUT, DOCKER_CLIENT, docker, TOOLS_IMAGE } from './images.ts'

const run = promisify(execFile)

/** How long a role and its database may take to be healthy on a busy machine, in milliseconds. */
const HEALTHY_MS = 240_000
const COMPOSE_MS = 900_000
const LOOK_AGAIN_MS = 500
const MACHINE_SOCKET = '/var/run/docker.sock'

export const COMPOSE_VERSIONS = ['v1', 'v2'] as const
type ComposeVersion = (typeof COMPOSE_VERSIONS)[number]
/** What each builds with when an owner says nothing: the classic builder, and BuildKit. */
const BUILDKIT = { v1: '0', v2: '1' }

export interface RoleProjectOptions {
  role: Role
  compose: ComposeVersion
  /** Lines of `.env` beyond those that every test has. */
  environment: Readonly<Record<string, string>>
  /** The socket of the engine. Default: this machine's. */
  socket?: string
  /** A second file for Compose, which changes what the first says. */
  override?: string
}

export class RoleProject implements AsyncDisposable {
  readonly name: string
  readonly folder: string
  readonly #options: RoleProjectOptions

  private constructor(folder: string, name: string, options: RoleProjectOptions) {
    this.folder = folder
    this.name = name
    this.#options = options
  }

  /** Writes the folder; starts nothing. */
  static async create(options: RoleProjectOptions): Promise<RoleProject> {
    const { role, environment, override } = options
    const folder = await mkdtemp(join(tmpdir(), `compose-${role}-`))
    const name = `test-${role}-${randomBytes(4).toString('hex')}`
    await cp(join(CHECKOUT, 'docker', `compose.${role}.yml`), join(folder, 'compose.yml'))
    await cp(join(CHECKOUT, 'docker', 'monitoring'), join(folder, 'monitoring'), { recursive: true })
    if (override !== undefined) await writeFile(join(folder, 'override.yml'), override)
    const lines = { COMPOSE_PROJECT_NAME: name, POSTGRES_PASSWORD: randomBytes(12).toString('hex'), ...environment }
    const text = Object.entries(lines).map(([key, value]) => `${key}=${value}\n`)
    await writeFile(join(folder, '.env'), text.join(''), { mode: 0o600 })
    return new RoleProject(folder, name, options)
  }

  /** Runs Compose in a container, which sees the folder and the checkout by their own paths. Gives what it printed. */
  async compose(...args: string[]): Promise<string> {
    const { compose, override, socket = MACHINE_SOCKET } = this.#options
    const files = ['-f', 'compose.yml', ...(override === undefined ? [] : ['-f', 'override.yml'])]
    // docker-compose 1.29 has the client build.
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
    const env = { ...process.env, CA_CERTIFICATE: await addedAuthorities(), DOCKER_BUILDKIT: BUILDKIT[compose] }
    const { stdout, stderr } = await run('docker', command, { env, timeout: COMPOSE_MS, maxBuffer: 64 * 1024 * 1024 })
    return `${stdout}${stderr}`
  }

  /** The id of a service's container, also of one that has ended. */
  async container(service: string): Promise<string> {
    const labels = [`project=${this.name}`, `service=${service}`].map(label => `label=com.docker.compose.${label}`)
    return await this.#docker('ps', '--all', '--quiet', ...labels.flatMap(label => ['--filter', label]))
  }

  async isHealthy(service: string): Promise<void> {
    await expect
      .poll(() => this.#state(service), { timeout: HEALTHY_MS, interval: LOOK_AGAIN_MS })
      .toMatchObject({ Running: true, Health: { Status: 'healthy' } })
  }

  async #state(service: string): Promise<unknown> {
    const container = await this.container(service)
    if (container === '') return 'there is no container'
    return JSON.parse(await this.#docker('inspect', '--format', '{{json .State}}', container))
  }

  /** Runs a command of the role's program beside the running service. */
  async role(...args: string[]): Promise<string> {
    const { role } = this.#options
    return await this.#docker('exec', await this.container(role), 'node', `packages/${role}/src/main.ts`, ...args)
  }

  /** Asks the role's database; rows by line, columns by `|`. */
  async sql(query: string): Promise<string> {
    const psql = ['psql', '--username=horde', '--dbname=horde', '--tuples-only', '--no-align', '--command', query]
    return await this.#docker('exec', await this.container('postgres'), ...psql)
  }

  /** What the role printed. */
  async logs(): Promise<string> {
    return await this.#docker('logs', await this.container(this.#options.role))
  }

  #docker(...args: string[]): Promise<string> {
    return docker('--host', `unix://${this.#options.socket ?? MACHINE_SOCKET}`, ...args)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.compose('--profile', 'monitoring', 'down', '--volumes', '--timeout', '30')
    await rm(this.folder, { recursive: true, force: true })
  }
}
