/** Runs what the command line asks for. Each command is loaded when it is asked for. */
import { version } from '@horde/kit/version'
import { readCommand, usage } from './command-line.ts'

/** sysexits' EX_USAGE: the command line is wrong. */
const EXIT_USAGE = 64

export type CommandDeps = {
  environment: NodeJS.ProcessEnv
  /** Writes the result, to stdout. */
  print(text: string): void
  /** Writes what is not the result, to stderr. */
  complain(text: string): void
  /** Says what SIGHUP does from now on. */
  setOnHangup(reload: () => void): void
}

/** Gives the exit code. */
export async function runCommand(args: readonly string[], deps: CommandDeps, signal: AbortSignal): Promise<number> {
  const command = readCommand(args)
  if ('mistake' in command) {
    deps.complain(`${command.mistake}\n\n${usage()}`)
    return EXIT_USAGE
  }
  switch (command.name) {
    case 'help':
      deps.print(usage(command.of))
      return 0
    case 'version':
      deps.print(`${version}\n`)
      return 0
    case 'serve':
      return (await import('./serve.ts')).serve(deps, signal)
    case 'check':
      return (await import('./check.ts')).check(deps, signal)
    case 'validators':
      return (await import('./validators.ts')).listValidators(command, deps, signal)
    case 'jobs':
      return (await import('./jobs.ts')).listJobs(command, deps, signal)
    case 'announce':
      return (await import('./announce.ts')).announceOnce(deps, signal)
  }
}
