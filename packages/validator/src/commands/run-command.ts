/** Runs the command that the command line names. A command's code is loaded only when that command runs. */
import { type CommandDeps, validatorProgram } from './command-line.ts'

const EXIT_FAILED = 1

/** Returns the exit code. */
export function runCommand(args: readonly string[], deps: CommandDeps, signal: AbortSignal): Promise<number> {
  /** Prints the message of an expected error and returns exit code 1; any other error is thrown on. */
  const task = async (run: () => Promise<number>): Promise<number> => {
    try {
      return await run()
    } catch (error) {
      const { isExpected } = await import('./open-validator.ts')
      if (!isExpected(error)) throw error
      deps.complain(`${error.message}\n`)
      return EXIT_FAILED
    }
  }
  const program = validatorProgram(deps, {
    serve: async () => (await import('./serve.ts')).serve(deps, signal),
    check: () => task(async () => (await import('./check.ts')).check(deps, signal)),
    batch: wanted => task(async () => (await import('./batch.ts')).batch(wanted, deps, signal)),
    runJob: job => task(async () => (await import('./run-job.ts')).runJob(job, deps, signal)),
    weights: wanted => task(async () => (await import('./weights.ts')).weights(wanted, deps, signal)),
    explain: wanted => task(async () => (await import('./explain.ts')).explain(wanted, deps, signal)),
  })
  return program.run(args)
}
