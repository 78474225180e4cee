/** A real miner as a process that is killed and started again, on the same port and the same database. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { withDeadline } from '@horde/kit/time'
import { PROGRAM_ENVIRONMENT } from '@horde/testing/runs/program-environment'

const MAIN = fileURLToPath(new URL('../../packages/miner/src/main.ts', import.meta.url))
/** How long it may take to stop when it is asked to, in ms. */
const STOP_MS = 60_000

export class MinerProcess {
  readonly #environment: Record<string, string>
  readonly #log: WriteStream
  #child: ChildProcess | undefined
  #starts = 0
  #served = Promise.withResolvers<void>()

  /** @param logFile what all runs have said */
  constructor(environment: Record<string, string>, logFile: string) {
    this.#environment = environment
    this.#log = createWriteStream(logFile, { flags: 'a' })
  }

  /** How often it was started. */
  get starts(): number {
    return this.#starts
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Resolves when the latest run serves; when it ends before that, with its successor. */
  get serving(): Promise<void> {
    return this.#served.promise
  }

  start(): void {
    const env = { ...PROGRAM_ENVIRONMENT, HOME: process.env.HOME ?? '', ...this.#environment }
    const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    // Executors that outlive it hold its pipes: they are read on.
    child.stdout.pipe(this.#log, { end: false })
    child.stdout.on('data', chunk => {
      if (String(chunk).includes('"miner started"')) this.#served.resolve()
    })
    child.stderr.pipe(this.#log, { end: false })
    this.#child = child
    this.#starts += 1
  }

  /** Kills it, and resolves when it is gone: the port and the database are free again. */
  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
    this.#served = Promise.withResolvers<void>()
  }

  /** Asks it to stop; gives its exit code. */
  async stop(): Promise<number | null> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    const [code] = (await withDeadline(gone, STOP_MS, 'the miner to stop')) as [number | null]
    return code
  }
}
