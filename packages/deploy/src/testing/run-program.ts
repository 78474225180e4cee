/** Runs a program of this machine for a test and collects what it prints. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const DEFAULT_TIMEOUT_MS = 1_200_000

export interface ProgramResult {
  /** The exit code, or null if a signal ended the program. */
  code: number | null
  /** stdout and stderr together, in the order in which they arrived. */
  output: string
  seconds: number
}

export interface RunOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** What the program reads from stdin. Default: nothing. */
  input?: string
  /** Keeps stdin open until the program ends, so that onOutput can write to it. */
  keepInputOpen?: boolean
  /** Kills the program after this many milliseconds. Default: 20 minutes. */
  timeoutMs?: number
  /** Called at each new output with all output so far. May write to the program, or end it. */
  onOutput?(output: string, child: ChildProcess): void
}

/**
 * Runs a program to its end. Returns its exit code whether it succeeded or failed; rejects when it cannot start. The
 * program has a session of its own, and so no terminal even if this process has one.
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<ProgramResult> {
  const {
    cwd,
    env = process.env,
    input = '',
    keepInputOpen = false,
    timeoutMs = DEFAULT_TIMEOUT_MS,
    onOutput,
  } = options
  const started = performance.now()
  const child = spawn(program, args, { cwd, env, detached: true, timeout: timeoutMs, killSignal: 'SIGKILL' })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      onOutput?.(output, child)
    })
  }
  // A program may end without reading its input; the broken pipe is then no error.
  child.stdin.on('error', () => {}).write(input)
  if (!keepInputOpen) child.stdin.end()
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output, seconds: (performance.now() - started) / 1000 }
}
