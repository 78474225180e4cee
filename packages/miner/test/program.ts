/** The miner as its operator runs it: a program with a command line and an environment. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { writeHotkeyFile } from '@horde/chain/wallet'
import { PROGRAM_ENVIRONMENT } from '@horde/testing/runs/program-environment'
import { runCommand } from '../src/commands/run-command.ts'
import { temporaryFolder } from './harness.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

/** How long a command within the test waits for a database server that is absent. Present ones are up before. */
const ABSENT_DATABASE_MS = 500

type Ran = { code: number | null; stdout: string; stderr: string; lines: string[] }

export type Operator = AsyncDisposable & {
  folder: string
  /** Runs the program to its end. */
  run(args: readonly string[], env?: Record<string, string>): Promise<Ran>
  /** Runs a command within the test's own process, which takes seconds less. */
  runHere(args: readonly string[], env?: Record<string, string>): Promise<Ran>
}

/** An operator with a wallet and a folder of their own. */
export async function newOperator(env: Record<string, string>): Promise<Operator> {
  const folder = await temporaryFolder()
  await writeHotkeyFile({ directory: folder.path }, '//miner')
  const common = {
    ...PROGRAM_ENVIRONMENT,
    HOME: folder.path,
    BITTENSOR_NETUID: '1',
    BITTENSOR_WALLET_DIRECTORY: folder.path,
    EXECUTOR_MANAGER: 'process',
    EXECUTOR_CLASS: 'always_on.test',
    PYTHON_IMAGE: 'compute-horde/python:3.11',
    ...env,
  }
  return {
    folder: folder.path,
    run: (args, more = {}) => run(args, { ...common, ...more }),
    runHere: (args, more = {}) => runHere(args, { ...common, ...more }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}

function run(args: readonly string[], env: Record<string, string>): Promise<Ran> {
  return new Promise(resolve => {
    const child = execFile(process.execPath, [MAIN, ...args], { env }, (_, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr, lines: stdout.trim().split('\n') })
    })
  })
}

async function runHere(args: readonly string[], environment: Record<string, string>): Promise<Ran> {
  const output = { stdout: '', stderr: '' }
  const deps = {
    environment,
    print: (text: string) => {
      output.stdout += text
    },
    complain: (text: string) => {
      output.stderr += text
    },
    setOnHangup: () => {},
    databaseConnectMs: ABSENT_DATABASE_MS,
  }
  const code = await runCommand(args, deps, new AbortController().signal)
  return { code, ...output, lines: output.stdout.trim().split('\n') }
}
