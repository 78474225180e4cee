import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { PROGRAM_ENVIRONMENT } from '@horde/testing/runs/program-environment'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

export interface Program extends AsyncDisposable {
  /** The lines that it has printed so far. */
  readonly stdout: string[]
  readonly stderr: string[]
  /** Its exit code. */
  readonly ended: Promise<number | null>
  /** Waits for a line of stdout that contains a text, also an earlier line. Rejects when the program ends without. */
  line(text: string): Promise<string>
  stop(): void
  /** Suspends the process until the result is disposed of. */
  heldUp(): Promise<AsyncDisposable>
  /** Kills the process with SIGKILL. */
  kill(): Promise<void>
}

/** Starts the validator as a process, with these arguments and, apart from PATH, only this environment. */
export function startProgram(args: string[], env: Record<string, string>): Program {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...PROGRAM_ENVIRONMENT, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const stdout: string[] = []
  const stderr: string[] = []
  const ended = once(child, 'close').then(([code]) => code as number | null)
  const output = createInterface({ input: child.stdout })
  output.on('line', line => stdout.push(line))
  createInterface({ input: child.stderr }).on('line', line => stderr.push(line))
  return {
    stdout,
    stderr,
    ended,
    stop: () => void child.kill('SIGTERM'),
    heldUp: async () => {
      child.kill('SIGSTOP')
      return { [Symbol.asyncDispose]: async () => void child.kill('SIGCONT') }
    },
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
    line: text =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = stdout.find(line => line.includes(text))
          if (found !== undefined) resolve(found)
        }
        look()
        output.on('line', look)
        void ended.then(() =>
          reject(new Error(`ended without saying ${text}: ${stdout.join('\n')}${stderr.join('\n')}`)),
        )
      }),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
