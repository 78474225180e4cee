/** Debian's docker-registry on loopback, with images of this host in it, and everything of them removed in the end. */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { WAIT_MS } from '@horde/testing/limits'
import { freePort } from '@horde/testing/port'
import { vi } from 'vitest'

const run = promisify(execFile)

export class TestRegistry implements AsyncDisposable {
  /** What the names of its images begin with. */
  readonly host: string
  readonly #folder: string
  readonly #names = new Set<string>()
  #process: ChildProcess | undefined

  private constructor(port: number, folder: string) {
    this.host = `127.0.0.1:${port}`
    this.#folder = folder
  }

  static async start(): Promise<TestRegistry> {
    const registry = new TestRegistry(await freePort(), await mkdtemp(join(tmpdir(), 'test-registry-')))
    const config = {
      version: '0.1',
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(registry.#folder, 'data') } },
      http: { addr: registry.host, secret: randomUUID() },
    }
    // JSON is YAML as well.
    await writeFile(join(registry.#folder, 'config.yml'), JSON.stringify(config))
    await registry.resume()
    return registry
  }

  /** Starts it, or starts it again with all that it had. */
  async resume(): Promise<void> {
    const server = spawn('docker-registry', ['serve', join(this.#folder, 'config.yml')], { stdio: 'ignore' })
    this.#process = server
    await once(server, 'spawn')
    await vi.waitFor(() => fetch(`http://${this.host}/v2/`), { timeout: WAIT_MS })
  }

  /** Nobody listens on its port any more. */
  async stop(): Promise<void> {
    const server = this.#process
    this.#process = undefined
    if (server === undefined || server.exitCode !== null) return
    const exited = once(server, 'exit')
    server.kill('SIGKILL')
    await exited
  }

  /** Pushes an image of this host under a new name, which this host does not know. Gives the name. */
  async push(local: string): Promise<string> {
    const name = `${this.host}/executor-${randomUUID()}`
    this.#names.add(name)
    await run('docker', ['tag', local, name])
    await run('docker', ['push', name])
    await run('docker', ['rmi', name])
    return name
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await rm(this.#folder, { recursive: true, force: true })
    for (const name of this.#names) await run('docker', ['rmi', name]).catch(() => {})
  }
}
