/** The command line of a service: commander parses it and prints the help. */
import { version } from '@horde/kit/version'
import { Command, CommanderError, InvalidArgumentError } from 'commander'

/** sysexits' EX_USAGE: the command line is wrong. */
const EXIT_USAGE = 64
/** Help is wrapped at this many columns, on every terminal. */
const HELP_WIDTH = 120

export type Output = {
  /** Writes the result, to stdout. */
  print(text: string): void
  /** Writes everything else, to stderr. */
  complain(text: string): void
}

export type Texts = {
  /** The line in the list of commands. Lower case, without a full stop. */
  summary: string
  /** Further sentences for the command's own help. */
  details: string
}

/** Returns a command whose mistakes are thrown as CommanderError, after the usage was written to `output`. */
export function newCommand(name: string, { print, complain }: Output): Command {
  return new Command(name)
    .exitOverride()
    .showHelpAfterError()
    .configureOutput({ writeOut: print, writeErr: complain })
    .configureHelp({ helpWidth: HELP_WIDTH })
}

/** Returns 0 after help or the version, and 64 after a mistake in the command line; throws any other error again. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof CommanderError)) throw error
  return error.exitCode === 0 ? 0 : EXIT_USAGE
}

/** A service's commands. */
export class Program {
  readonly #root: Command
  readonly #defaultCommand: string
  #exitCode = 0

  /**
   * @param name how the program is started: `node packages/miner/src/main.ts`
   * @param defaultCommand the command that runs when there are no arguments
   */
  constructor(name: string, defaultCommand: string, output: Output) {
    this.#defaultCommand = defaultCommand
    this.#root = newCommand(name, output).version(version, '--version', 'print the version of this release')
  }

  /** Adds a command; the caller gives it options, arguments and an action. */
  command(name: string, { summary, details }: Texts): Command {
    const first = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}`
    return this.#root.command(name).summary(summary).description(`${first}. ${details}`)
  }

  /** Makes a function that returns an exit code the action of a command. */
  action<A extends unknown[]>(run: (...args: A) => Promise<number>): (...args: A) => Promise<void> {
    return async (...args) => {
      this.#exitCode = await run(...args)
    }
  }

  /** Runs the command that the arguments name. Returns its exit code, 0 after help, or 64 for wrong arguments. */
  async run(args: readonly string[]): Promise<number> {
    try {
      await this.#root.parseAsync(args.length === 0 ? [this.#defaultCommand] : args, { from: 'user' })
      return this.#exitCode
    } catch (error) {
      return exitCodeOf(error)
    }
  }
}

/** Returns an option's parser for a whole number between `min` and `max`, both included. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return text => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  }
}
