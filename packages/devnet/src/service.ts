/** Runs one service of the horde as a process: reads its log lines, waits for its exit, and stops it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'

/** How long a service may take to stop before it is killed, in milliseconds. */
const STOP_WITHIN_MS = 20_000
/** How many of its last lines are shown when a service exits unexpectedly. */
const LINES_KEPT = 20

export type LogLine = Readonly<Record<string, unknown>>

/** A line that a service printed, with its fields if it is a log line. */
export type ServiceLine = { service: string; text: string; fields: LogLine | undefined; stream: 'stdout' | 'stderr' }

export class ServiceEndedError extends Error {
  override name = 'ServiceEndedError'
}

export type ServiceOptions = {
  name: string
  /** The path of the program. */
  main: string
  args?: readonly string[]
  environment: Readonly<Record<string, string>>
  onLine: (line: ServiceLine) => void
  clock: Clock
  /** Aborts waits for lines. */
  signal?: AbortSignal | undefined
}

export class Service implements AsyncDisposable {
  readonly name: string
  /** Resolves with the exit code or the signal; never rejects. */
  readonly exited: Promise<{ code: number | null; signal: string | null }>
  readonly #child: ChildProcess
  readonly #clock: Clock
  readonly #signal: AbortSignal | undefined
  readonly #lines: ServiceLine[] = []
  readonly #watchers = new Set<(line: ServiceLine) => void>()

  constructor({ name, main, args = [], environment, onLine, clock, signal }: ServiceOptions) {
    this.name = name
    this.#signal = signal
    this.#clock = clock
    this.#watchers.add(onLine)
    this.#child = spawn(process.execPath, [main, ...args], {
      env: { ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C in the terminal then reaches only devnet, which stops its services in order.
      detached: true,
    })
    this.exited = new Promise(resolve => {
      this.#child.once('close', (code, signal) => resolve({ code, signal }))
      this.#child.once('error', () => resolve({ code: null, signal: null }))
    })
    for (const stream of ['stdout', 'stderr'] as const) this.#read(stream)
  }

  /** Calls `watcher` with every further line. */
  watch(watcher: (line: ServiceLine) => void): void {
    this.#watchers.add(watcher)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Returns the fields of the first log line with this message, past or future. */
  async line(message: string, withinMs: number): Promise<LogLine> {
    const matches = ({ fields }: ServiceLine) => fields?.msg === message
    const earlier = this.#lines.find(matches)
    if (earlier?.fields) return earlier.fields
    const found = Promise.withResolvers<LogLine>()
    const watch = (line: ServiceLine) => {
      if (matches(line) && line.fields) found.resolve(line.fields)
    }
    this.#watchers.add(watch)
    const exitedEarly = this.rejectOnExit()
    const onAbort = () => found.reject(this.#signal?.reason)
    this.#signal?.addEventListener('abort', onAbort, { once: true })
    if (this.#signal?.aborted) onAbort()
    try {
      const first = Promise.race([found.promise, exitedEarly])
      return await withDeadline(first, withinMs, `${this.name}: "${message}"`, this.#clock)
    } finally {
      this.#watchers.delete(watch)
      this.#signal?.removeEventListener('abort', onAbort)
      exitedEarly.catch(() => {})
    }
  }

  /** Never resolves; rejects when the service exits. */
  async rejectOnExit(): Promise<never> {
    throw this.#endedError(await this.exited)
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM')
    try {
      await withDeadline(this.exited, STOP_WITHIN_MS, `${this.name} to stop`, this.#clock)
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error
      this.#child.kill('SIGKILL')
      await this.exited
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #read(stream: 'stdout' | 'stderr'): void {
    const input = this.#child[stream]
    if (!input) return
    createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }).on('line', text => {
      const line = { service: this.name, text, fields: fieldsOf(text), stream }
      this.#lines.push(line)
      if (this.#lines.length > 10 * LINES_KEPT) this.#lines.splice(0, LINES_KEPT)
      for (const watch of this.#watchers) watch(line)
    })
  }

  #endedError({ code, signal }: { code: number | null; signal: string | null }): ServiceEndedError {
    const how = signal === null ? `exit code ${code}` : `signal ${signal}`
    const last = this.#lines.slice(-LINES_KEPT).map(({ text }) => `  ${text}`)
    return new ServiceEndedError([`${this.name} ended with ${how}; its last lines:`, ...last].join('\n'))
  }
}

function fieldsOf(text: string): LogLine | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    const fields: unknown = JSON.parse(text)
    return typeof fields === 'object' && fields !== null && 'msg' in fields ? (fields as LogLine) : undefined
  } catch {
    return undefined
  }
}
