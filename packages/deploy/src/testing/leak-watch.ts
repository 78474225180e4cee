/**
 * Records what other users could read while an install script runs, so that a test can search it for secrets: the
 * command lines of all processes on this machine, test servers included, and the script's files in /tmp.
 */
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SAMPLE_INTERVAL_MS = 20
/**
 * The start of the name of an install script's temporary folder, as `open_scratch` in
 * docker/install/owner/connection.sh creates it.
 */
const SCRATCH_PREFIX = 'ch.'

export class LeakWatch {
  readonly #commandLines = new Set<string>()
  readonly #fileContents = new Set<string>()
  #stopped = false
  readonly #done: Promise<void>

  /** Starts to watch at once. */
  constructor() {
    this.#done = this.#watch()
  }

  /** Stops watching. Returns every command line and every file content that it saw, each once. */
  async stop(): Promise<{ commandLines: string[]; fileContents: string[] }> {
    this.#stopped = true
    await this.#done
    return { commandLines: [...this.#commandLines], fileContents: [...this.#fileContents] }
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
      for (const id of ids) this.#commandLines.add(commandLine(id))
      for (const text of await readAll(await scratchFiles())) this.#fileContents.add(text)
      await new Promise(resolve => setTimeout(resolve, SAMPLE_INTERVAL_MS))
    }
  }
}

/** Lists the files in the temporary folders of all install scripts that run now. */
async function scratchFiles(): Promise<string[]> {
  const folders = (await readdir(tmpdir()))
    .filter(name => name.startsWith(SCRATCH_PREFIX))
    .map(name => join(tmpdir(), name))
  const names = await Promise.all(
    folders.map(async folder => (await readdir(folder).catch(() => [])).map(name => join(folder, name))),
  )
  return names.flat()
}

/** Returns the command line of a process, empty when it has ended. The kernel has it in memory, so nothing blocks. */
function commandLine(id: string): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/** Reads files. Returns an empty text for a file that is gone or is a socket. */
function readAll(paths: readonly string[]): Promise<string[]> {
  return Promise.all(paths.map(path => readFile(path, 'utf8').catch(() => '')))
}
