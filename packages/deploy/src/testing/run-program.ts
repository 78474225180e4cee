/** Runs a program of this machine for a test, and gives everything it printed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const WITHIN_MS = 1_200_000

export interface Ended {
  /** Its exit code; null when a signal ended it. */
  code: number | null
  /** stdout and stderr, as they came. */
  output: string
  seconds: number
}

export interface RunOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** What it reads; without it, nothing. */
  input?: string
  /** Its input stays open until it ends, for what onOutput writes. */
  keepInputOpen?: boolean
  withinMs?: number
  /** Hears everything it printed so far, whenever there is more; may write to it, or end it. */
  onOutput?(output: string, child: ChildProcess): void
}

/** In a session of its own: without a terminal, whatever this process has. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { cwd, env = process.env, input = '', keepInputOpen = false, withinMs = WITHIN_MS, onOutput } = options
  const started = performance.now()
  const child = spawn(program, args, { cwd, env, detached: true, timeout: withinMs, killSignal: 'SIGKILL' })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      onOutput?.(output, child)
    })
  }
  // A program that ends without reading its input is no failure of the test.
  child.stdin.on('error', () => {}).write(input)
  if (!keepInputOpen) child.stdin.end()
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output, seconds: (performance.now() - started) / 1000 }
}
