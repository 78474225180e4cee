/** Runs Debian's docker-registry on loopback with images of random content, and removes all of them in the end. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { systemClock } from '@horde/kit/time'
import { pack } from 'tar-stream'
import { importImage, removeImage } from '../local-engine.ts'
import { freePort } from '../port.ts'

const run = promisify(execFile)

const START_ATTEMPTS = 200
const START_PAUSE_MS = 50

/** The password of `user`. Its bcrypt hash has the least cost, so that tests are fast. */
export const PASSWORD = 'right horse'
const HTPASSWD = 'user:$2b$04$5xqLTBVe4KfKFacSXOA9dOz42LwTPQXOODqts6MdnsrqyvmvlvuKS\n'

export class TestRegistry implements AsyncDisposable {
  readonly port: number
  readonly #folder: string
  readonly #paths = new Set<string>()
  #process: ChildProcess | undefined

  private constructor(port: number, folder: string) {
    this.port = port
    this.#folder = folder
  }

  static async start({ isPrivate = false } = {}): Promise<TestRegistry> {
    const folder = await mkdtemp(join(tmpdir(), 'test-registry-'))
    const registry = new TestRegistry(await freePort(), folder)
    const config = {
      version: '0.1',
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
      http: { addr: `127.0.0.1:${registry.port}`, secret: randomUUID() },
      ...(isPrivate && { auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } } }),
    }
    // The registry reads YAML, and JSON is valid YAML.
    await writeFile(join(folder, 'config.yml'), JSON.stringify(config))
    await writeFile(join(folder, 'htpasswd'), HTPASSWD)
    await writeFile(join(folder, 'config.json'), registry.authConfig(PASSWORD, `localhost:${registry.port}`))
    await registry.resume()
    return registry
  }

  get host(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Returns a config.json for Docker with the user's password. */
  authConfig(password: string, host = this.host): string {
    return JSON.stringify({ auths: { [host]: { auth: Buffer.from(`user:${password}`).toString('base64') } } })
  }

  /** Starts the registry, or starts it again with its old content. */
  async resume(): Promise<void> {
    this.#process = spawn('docker-registry', ['serve', join(this.#folder, 'config.yml')], { stdio: 'ignore' })
    await once(this.#process, 'spawn')
    for (let attempt = 1; ; attempt += 1) {
      const answers = await fetch(`http://${this.host}/v2/`).then(
        () => true,
        () => false,
      )
      if (answers) return
      if (attempt === START_ATTEMPTS || this.#process.exitCode !== null)
        throw new Error('docker-registry did not start')
      await systemClock.sleep(START_PAUSE_MS)
    }
  }

  /** Stops the registry. Its content stays. */
  async stop(): Promise<void> {
    const process = this.#process
    this.#process = undefined
    if (process === undefined || process.exitCode !== null) return
    const exited = once(process, 'exit')
    process.kill('SIGKILL')
    await exited
  }

  /** Pushes an image of `bytes` random bytes, and removes the local copy. Returns its name by digest. */
  async push(name: string, bytes = 100): Promise<string> {
    const local = `compute-horde-test/${randomUUID()}:1`
    await importRandom(local, bytes)
    return this.pushLocal(local, name).finally(() => removeImage(local))
  }

  /** Pushes a local image under a new name, which the local engine does not keep. Returns that name. */
  async pushAs(local: string, path: string): Promise<string> {
    await this.pushLocal(local, `${this.host}/${path}:latest`)
    return `${this.host}/${path}`
  }

  /** Pushes a local image under another name. Returns its name by digest. */
  async pushLocal(local: string, name: string): Promise<string> {
    const [path = '', tag] = name.slice(this.host.length).split(':')
    this.#paths.add(path)
    // Pushes by another name of the same host, so that local images with the first name stay as they are.
    const pushed = `localhost:${this.port}${path}:${tag}`
    await tagImage(local, pushed)
    const { stdout } = await run('docker', ['--config', this.#folder, 'push', pushed])
    await removeImage(pushed)
    return `${this.host}${path}@${/digest: (sha256:\w+)/.exec(stdout)?.[1]}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await rm(this.#folder, { recursive: true, force: true })
    for (const path of this.#paths) await removeRepository(this.host + path)
  }
}

/** Makes a local image of random content. */
export async function importRandom(name: string, bytes = 100): Promise<void> {
  const tar = pack()
  tar.entry({ name: 'content' }, randomBytes(bytes))
  tar.finalize()
  await importImage(tar as never, name)
}

/** Gives a local image one more name. */
export async function tagImage(name: string, further: string): Promise<void> {
  await run('docker', ['tag', name, further])
}

/** Removes every local image of a repository, whatever its tag. */
export async function removeRepository(repository: string): Promise<void> {
  const format = '{{.Repository}}:{{.Tag}}|{{.Repository}}@{{.Digest}}'
  const { stdout } = await run('docker', ['images', '--digests', '--format', format, repository])
  for (const name of stdout.split(/[\n|]/).filter(text => text !== '' && !text.includes('<none>'))) {
    await removeImage(name)
  }
}
