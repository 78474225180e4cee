/**
 * Looks, while something runs, at what others could read: the command line of every process of this machine, and so of the test
 * servers, and the files that the install scripts have in /tmp meanwhile.
 */
import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const EVERY_MS = 20
/** How the folder's name begins that an install script keeps for its run: open_scratch in docker/install/owner/connection.sh. */
const SCRATCH = 'ch.'

export class SecretWatch {
  readonly #lines = new Set<string>()
  readonly #files = new Set<string>()
  #ends = false
  readonly #done: Promise<void>

  constructor() {
    this.#done = this.#watch()
  }

  /** Stops, and gives every command line, and every content of a file, that was seen. */
  async stop(): Promise<{ lines: string[]; files: string[] }> {
    this.#ends = true
    await this.#done
    return { lines: [...this.#lines], files: [...this.#files] }
  }

  async #watch(): Promise<void> {
    while (!this.#ends) {
      const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
      for (const line of await readAll(ids.map(id => `/proc/${id}/cmdline`))) this.#lines.add(line)
      for (const text of await readAll(await scratchFiles())) this.#files.add(text)
      await new Promise(resolve => setTimeout(resolve, EVERY_MS))
    }
  }
}

async function scratchFiles(): Promise<string[]> {
  const folders = (await readdir(tmpdir())).filter(name => name.startsWith(SCRATCH)).map(name => join(tmpdir(), name))
  const names = await Promise.all(
    folders.map(async folder => (await readdir(folder).catch(() => [])).map(name => join(folder, name))),
  )
  return names.flat()
}

/** What has ended meanwhile, or is a socket, has no text. */
function readAll(paths: readonly string[]): Promise<string[]> {
  return Promise.all(paths.map(path => readFile(path, 'utf8').catch(() => '')))
}
