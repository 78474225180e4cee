/** Runs what the command line asks for. Each command is loaded when it is asked for. */
import { version } from '@horde/kit/version'
import { type Command, readCommand, usage } from './command-line.ts'

/** sysexits' EX_USAGE: the command line is wrong. */
const EXIT_USAGE = 64
const EXIT_FAILED = 1

export type CommandDeps = {
  environment: NodeJS.ProcessEnv
  /** Writes the result, to stdout. */
  print(text: string): void
  /** Writes what is not the result, to stderr. */
  complain(text: string): void
}

/** Gives the exit code. */
export async function runCommand(args: readonly string[], deps: CommandDeps, signal: AbortSignal): Promise<number> {
  const command = readCommand(args)
  if ('mistake' in command) {
    deps.complain(`${command.mistake}\n\n${usage()}`)
    return EXIT_USAGE
  }
  if (command.name === 'help') {
    deps.print(usage(command.of))
    return 0
  }
  if (command.name === 'version') {
    deps.print(`${version}\n`)
    return 0
  }
  if (command.name === 'serve') return (await import('./serve.ts')).serve(deps, signal)
  try {
    return await run(command, deps, signal)
  } catch (error) {
    if (!isForPeople(error)) throw error
    deps.complain(`${error.message}\n`)
    return EXIT_FAILED
  }
}

type Task = Exclude<Command, { name: 'serve' | 'help' | 'version' }>

async function run(command: Task, deps: CommandDeps, signal: AbortSignal): Promise<number> {
  switch (command.name) {
    case 'check':
      return (await import('./check.ts')).check(deps, signal)
    case 'batch':
      return (await import('./batch.ts')).batch(command, deps, signal)
    case 'run-job':
      return (await import('./run-job.ts')).runJob(command.job, deps, signal)
    case 'explain':
      return (await import('./explain.ts')).explain(command, deps, signal)
    case 'weights':
      return (await import('./weights.ts')).weights(command, deps, signal)
  }
}

/** Their messages say what is wrong, and where they came from would not help. By name: help need not load where they come from. */
const FOR_PEOPLE = ['BenchmarkError', 'BusyError', 'ChainError', 'DatabaseError', 'UnknownMinerError']

function isForPeople(error: unknown): error is Error {
  return error instanceof Error && FOR_PEOPLE.includes(error.name)
}
