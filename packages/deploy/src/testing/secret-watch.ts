/** Reads the command line of every process of this machine, and so of the test servers, while something runs. */
import { readdir, readFile } from 'node:fs/promises'

const EVERY_MS = 20

export class SecretWatch {
  readonly #lines = new Set<string>()
  #ends = false
  readonly #done: Promise<void>

  constructor() {
    this.#done = this.#watch()
  }

  /** Stops, and gives every command line that was seen. */
  async stop(): Promise<string[]> {
    this.#ends = true
    await this.#done
    return [...this.#lines]
  }

  async #watch(): Promise<void> {
    while (!this.#ends) {
      const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
      // A process that has ended meanwhile has no command line any more.
      const lines = await Promise.all(ids.map(id => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')))
      for (const line of lines) this.#lines.add(line)
      await new Promise(resolve => setTimeout(resolve, EVERY_MS))
    }
  }
}
