/** Runs the command that the command line names. A command's code is loaded only when that command runs. */
import { type CommandDeps, minerProgram } from './command-line.ts'

/** Returns the exit code. */
export function runCommand(args: readonly string[], deps: CommandDeps, signal: AbortSignal): Promise<number> {
  const program = minerProgram(deps, {
    serve: async () => (await import('./serve.ts')).serve(deps, signal),
    check: async () => (await import('./check.ts')).check(deps, signal),
    validators: async options => (await import('./validators.ts')).listValidators(options, deps, signal),
    jobs: async wanted => (await import('./jobs.ts')).listJobs(wanted, deps, signal),
    unpin: async validator => (await import('./unpin.ts')).unpin(validator, deps, signal),
    announce: async () => (await import('./announce.ts')).announceOnce(deps, signal),
  })
  return program.run(args)
}
