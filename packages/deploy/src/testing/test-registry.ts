/** A registry on loopback that is filled here, and whose folder a test server mounts to serve the same images. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@horde/testing/port'
import { run } from './run-program.ts'

const CHECKOUT = join(import.meta.dirname, '../../../..')
const STAND_IN = join(import.meta.dirname, 'stand-in')
const BASE_IMAGE = process.env.TEST_SERVER_BASE ?? 'compute-horde/debian:bookworm'
const BUILD_MS = 600_000
const ANSWER_MS = 30_000
const TRY_AGAIN_MS = 50

/** What stands before the images' names, for the server. */
export const IMAGE_PREFIX = '127.0.0.1:5000/horde'
const POSTGRES = 'horde-test/postgres:15'
/** The roles' images and the executor's. */
const ROLE_IMAGES = ['validator', 'miner', 'executor']

/** What a stand-in image of a version is like. */
export interface StandIn {
  healthy?: 'yes' | 'exits'
  /** Names of what keeps it from being ready, each one word. */
  lacks?: readonly string[]
  /** Names that it warns of at its start, and lacks ten seconds later. */
  suspects?: readonly string[]
  /** The youngest migration that it knows. */
  migration?: number
  /** The version that it says it has; otherwise its tag. */
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

  static async start(): Promise<TestRegistry> {
    const folder = await mkdtemp(join(tmpdir(), 'test-registry-'))
    const port = await freePort()
    const config = `version: 0.1\nlog: { level: error }\nstorage: { filesystem: { rootdirectory: ${folder}/images } }\nhttp: { addr: "127.0.0.1:${port}" }\n`
    await writeFile(join(folder, 'config.yml'), config)
    await mkdir(join(folder, 'images'))
    const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' })
    const registry = new TestRegistry(folder, port, child)
    await registry.#untilItAnswers()
    return registry
  }

  /** What the server mounts. */
  get images(): string {
    return join(this.folder, 'images')
  }

  /** Puts an image of this machine into it, under a name as the server sees it. Gives the name that it has here. */
  async push(image: string, name: string): Promise<string> {
    const tag = `127.0.0.1:${this.#port}/${name}`
    await docker('tag', image, tag)
    this.#tags.add(tag)
    await docker('push', tag)
    return tag
  }

  /** Puts the stand-ins of a version into it, for all roles. */
  async pushStandIns(version: string, standIn: StandIn = {}): Promise<void> {
    const context = await standInContext()
    try {
      const { healthy = 'yes', lacks = [], suspects = [], migration = 100, label = version } = standIn
      const image = `horde-test/stand-in:${version}-${this.#port}`
      const values = [
        ...[`VERSION=${label}`, `HEALTHY=${healthy}`, `MIGRATION=${migration}`],
        ...[`LACKS=${lacks.join(' ')}`, `SUSPECTS=${suspects.join(' ')}`],
      ]
      await build(context, 'role', image, values)
      this.#tags.add(image)
      for (const name of ROLE_IMAGES) await this.push(image, `horde/${name}:${version}`)
    } finally {
      await rm(context, { recursive: true })
    }
  }

  /** Puts the database from Debian's packages into it: the server's Docker takes it for Docker Hub's postgres:15. */
  async pushPostgres(): Promise<void> {
    await this.push(await buildPostgres(), 'library/postgres:15')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'exit')
    this.#process.kill()
    await ended
    if (this.#tags.size > 0) await run('docker', ['rmi', ...this.#tags])
    // An image whose tag went to another one stays by its digest.
    const untagged = await run('docker', ['images', '--quiet', '--filter', `reference=127.0.0.1:${this.#port}/*/*`])
    const ids = new Set(untagged.output.split('\n').filter(id => id !== ''))
    if (ids.size > 0) await run('docker', ['rmi', '--force', ...ids])
    await rm(this.folder, { recursive: true, force: true })
  }

  async #untilItAnswers(): Promise<void> {
    const end = Date.now() + ANSWER_MS
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${this.#port}/v2/`).catch(() => undefined)
      if (answer?.ok) return
      if (Date.now() > end) throw new Error('docker-registry did not start')
      await new Promise(resolve => setTimeout(resolve, TRY_AGAIN_MS))
    }
  }
}

/** The database from Debian's packages, in place of the public image postgres:15. Gives its name. */
export async function buildPostgres(): Promise<string> {
  await build(join(CHECKOUT, 'docker/postgres'), undefined, POSTGRES, [])
  return POSTGRES
}

/** The stand-in's folder with what a role's image brings along of this checkout. */
async function standInContext(): Promise<string> {
  const context = await mkdtemp(join(tmpdir(), 'stand-in-'))
  const server = join(context, 'files/app/docker/install/server')
  await mkdir(server, { recursive: true })
  await mkdir(join(context, 'files/bin'))
  await copyFile(join(STAND_IN, 'Dockerfile'), join(context, 'Dockerfile'))
  await copyFile(join(STAND_IN, 'role.sh'), join(context, 'files/role.sh'))
  await copyFile(join(STAND_IN, 'node.sh'), join(context, 'files/bin/node'))
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

async function build(
  context: string,
  target: string | undefined,
  image: string,
  values: readonly string[],
): Promise<void> {
  const args = [`BASE_IMAGE=${BASE_IMAGE}`, ...values].flatMap(value => ['--build-arg', value])
  const ended = await run(
    'docker',
    ['build', '--quiet', ...(target ? ['--target', target] : []), '--tag', image, ...args, context],
    { withinMs: BUILD_MS },
  )
  if (ended.code !== 0) throw new Error(`${image} could not be built: ${ended.output}`)
}

async function docker(...args: string[]): Promise<void> {
  const ended = await run('docker', args)
  if (ended.code !== 0) throw new Error(`docker ${args.join(' ')} ended with ${ended.code}: ${ended.output}`)
}
