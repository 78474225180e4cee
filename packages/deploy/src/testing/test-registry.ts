/** An image registry on loopback. A test pushes images into it, and test servers mount its folder to serve them too. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@horde/testing/port'
import { runProgram } from './run-program.ts'

const CHECKOUT = join(import.meta.dirname, '../../../..')
const STAND_IN_FOLDER = join(import.meta.dirname, 'stand-in')
const BASE_IMAGE = process.env.TEST_SERVER_BASE ?? 'compute-horde/debian:bookworm'
const BUILD_MS = 600_000
const READY_MS = 30_000
const RETRY_MS = 50

/** The prefix of the images' names on the test server. */
export const IMAGE_PREFIX = '127.0.0.1:5000/horde'
const POSTGRES = 'horde-test/postgres:15'
/** The names under which the same stand-in image is pushed. */
const ROLE_IMAGES = ['validator', 'miner', 'executor']

/** How the stand-in image of a version behaves. */
export interface StandIn {
  /** Whether its program exits at once, at every start. */
  exitsAtStart?: boolean
  /** The health checks that fail, each one word. */
  failingChecks?: readonly string[]
  /** The health checks that warn at the start and fail ten seconds later. */
  laterFailingChecks?: readonly string[]
  /** The newest database migration that it knows. Default: 100. */
  migration?: number
  /** The version in its label. Default: its tag. */
  label?: string
}

export class TestRegistry implements AsyncDisposable {
  readonly folder: string
  readonly #port: number
  readonly #process: ChildProcess
  readonly #tags = new Set<string>()

  private constructor(folder: string, port: number, child: ChildProcess) {
    this.folder = folder
    this.#port = port
    this.#process = child
  }

  /** Starts an empty registry; throws if it does not answer within 30 s. */
  static async start(): Promise<TestRegistry> {
    const folder = await mkdtemp(join(tmpdir(), 'test-registry-'))
    const port = await freePort()
    const config = [
      'version: 0.1',
      'log: { level: error }',
      `storage: { filesystem: { rootdirectory: ${folder}/images } }`,
      `http: { addr: "127.0.0.1:${port}" }`,
    ]
    await writeFile(join(folder, 'config.yml'), `${config.join('\n')}\n`)
    await mkdir(join(folder, 'images'))
    const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' })
    const registry = new TestRegistry(folder, port, child)
    await registry.#waitUntilReady()
    return registry
  }

  /** The folder with the registry's images, which test servers mount. */
  get imagesFolder(): string {
    return join(this.folder, 'images')
  }

  /**
   * Pushes an image of this machine.
   * @param name the image's name on a test server, without the registry's address
   * @returns the image's name on this machine, with the registry's address
   */
  async push(image: string, name: string): Promise<string> {
    const tag = `127.0.0.1:${this.#port}/${name}`
    await docker('tag', image, tag)
    this.#tags.add(tag)
    await docker('push', tag)
    return tag
  }

  /** Builds the stand-in image of a version and pushes it for all roles. */
  async pushStandIns(version: string, standIn: StandIn = {}): Promise<void> {
    const context = await standInContext()
    try {
      const { failingChecks = [], laterFailingChecks = [], migration = 100, label = version } = standIn
      const image = `horde-test/stand-in:${version}-${this.#port}`
      const values = [
        ...[`VERSION=${label}`, `EXITS_AT_START=${standIn.exitsAtStart ? 'yes' : ''}`, `MIGRATION=${migration}`],
        ...[`FAILING_CHECKS=${failingChecks.join(' ')}`, `LATER_FAILING_CHECKS=${laterFailingChecks.join(' ')}`],
      ]
      await build(context, 'role', image, values)
      this.#tags.add(image)
      for (const name of ROLE_IMAGES) await this.push(image, `horde/${name}:${version}`)
    } finally {
      await rm(context, { recursive: true })
    }
  }

  /** Pushes a Postgres from Debian's packages, which a test server's Docker pulls as Docker Hub's postgres:15. */
  async pushPostgres(): Promise<void> {
    await this.push(await buildPostgres(), 'library/postgres:15')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#process, 'exit')
    this.#process.kill()
    await exited
    if (this.#tags.size > 0) await runProgram('docker', ['rmi', ...this.#tags])
    // An image whose tag was pushed again for another image has only its digest left.
    const untagged = await runProgram('docker', [
      'images',
      '--quiet',
      '--filter',
      `reference=127.0.0.1:${this.#port}/*/*`,
    ])
    const ids = new Set(untagged.output.split('\n').filter(id => id !== ''))
    if (ids.size > 0) await runProgram('docker', ['rmi', '--force', ...ids])
    await rm(this.folder, { recursive: true, force: true })
  }

  async #waitUntilReady(): Promise<void> {
    const end = Date.now() + READY_MS
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${this.#port}/v2/`).catch(() => undefined)
      if (answer?.ok) return
      if (Date.now() > end) throw new Error('docker-registry did not start')
      await new Promise(resolve => setTimeout(resolve, RETRY_MS))
    }
  }
}

/** Builds an image of Postgres 15 from Debian's packages, in place of the public one. Returns its name. */
export async function buildPostgres(): Promise<string> {
  await build(join(CHECKOUT, 'docker/postgres'), undefined, POSTGRES, [])
  return POSTGRES
}

/**
 * Creates the build folder of a stand-in image: its own files, and those of this checkout that every role's image has.
 */
async function standInContext(): Promise<string> {
  const context = await mkdtemp(join(tmpdir(), 'stand-in-'))
  const server = join(context, 'files/app/docker/install/server')
  await mkdir(server, { recursive: true })
  await mkdir(join(context, 'files/bin'))
  await copyFile(join(STAND_IN_FOLDER, 'Dockerfile'), join(context, 'Dockerfile'))
  await copyFile(join(STAND_IN_FOLDER, 'role.sh'), join(context, 'files/role.sh'))
  await copyFile(join(STAND_IN_FOLDER, 'node.sh'), join(context, 'files/bin/node'))
  await chmod(join(context, 'files/bin/node'), 0o755)
  await copyFile(join(CHECKOUT, 'docker/install/server/compute-horde'), join(server, 'compute-horde'))
  for (const role of ['validator', 'miner']) {
    for (const name of [`compose.${role}.yml`, `${role}.env.example`]) {
      await copyFile(join(CHECKOUT, 'docker', name), join(context, 'files/app/docker', name))
    }
  }
  await cp(join(CHECKOUT, 'docker/monitoring'), join(context, 'files/app/docker/monitoring'), { recursive: true })
  return context
}

/** Builds an image; throws with the output of `docker build` when that fails. */
async function build(
  context: string,
  target: string | undefined,
  image: string,
  values: readonly string[],
): Promise<void> {
  const args = [`BASE_IMAGE=${BASE_IMAGE}`, ...values].flatMap(value => ['--build-arg', value])
  const result = await runProgram(
    'docker',
    ['build', '--quiet', ...(target ? ['--target', target] : []), '--tag', image, ...args, context],
    { timeoutMs: BUILD_MS },
  )
  if (result.code !== 0) throw new Error(`${image} could not be built: ${result.output}`)
}

async function docker(...args: string[]): Promise<void> {
  const result = await runProgram('docker', args)
  if (result.code !== 0) throw new Error(`docker ${args.join(' ')} ended with ${result.code}: ${result.output}`)
}
