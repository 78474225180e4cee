/** Runs a real miner as a process that can be killed and started again on the same port and database. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { withDeadline } from '@horde/kit/time'
import { PROGRAM_ENVIRONMENT } from '@horde/testing/runs/program-environment'

const MAIN = fileURLToPath(new URL('../../packages/miner/src/main.ts', import.meta.url))
/** How long the miner may take to stop after SIGTERM, in ms. */
const STOP_MS = 60_000

export class MinerProcess {
  readonly #environment: Record<string, string>
  readonly #log: WriteStream
  #child: ChildProcess | undefined
  #starts = 0
  #served = Promise.withResolvers<void>()

  /** @param logFile gets the output of all runs */
  constructor(environment: Record<string, string>, logFile: string) {
    this.#environment = environment
    this.#log = createWriteStream(logFile, { flags: 'a' })
  }

  /** How often the miner was started. */
  get starts(): number {
    return this.#starts
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Resolves once the newest process serves. When that is killed before, resolves with the next one. */
  get serving(): Promise<void> {
    return this.#served.promise
  }

  start(): void {
    const env = { ...PROGRAM_ENVIRONMENT, HOME: process.env.HOME ?? '', ...this.#environment }
    const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    // Executors that outlive the miner keep writing to its pipes, so these stay open until all writers end.
    child.stdout.pipe(this.#log, { end: false })
    child.stdout.on('data', chunk => {
      if (String(chunk).includes('"miner started"')) this.#served.resolve()
    })
    child.stderr.pipe(this.#log, { end: false })
    this.#child = child
    this.#starts += 1
  }

  /** Kills the miner. Resolves once it has exited, so that its port and database are free. */
  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
    this.#served = Promise.withResolvers<void>()
  }

  /** Stops the miner with SIGTERM, and returns its exit code. */
  async stop(): Promise<number | null> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    const [code] = (await withDeadline(exited, STOP_MS, 'the miner to stop')) as [number | null]
    return code
  }
}
