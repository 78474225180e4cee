/** `pnpm dev`: runs a whole horde on this machine until Ctrl-C, or with --once for one batch. */
import { runService } from '@horde/kit/run'
import { exitCodeOf, newCommand, wholeNumber } from '@horde/operator/command-line/program'
import { Option } from 'commander'
import { RequirementError } from './requirements.ts'
import { resultTable, runOnce } from './run-once.ts'
import { showProgress } from './show-progress.ts'
import { EXECUTOR_KINDS, type ExecutorKind, type HordeOptions, startHorde } from './start-horde.ts'
import { logLine } from './view.ts'

/** How long everything may take to stop, in milliseconds. */
const STOP_WITHIN_MS = 90_000

type Options = {
  miners: number
  executors: ExecutorKind
  once?: boolean
  json?: boolean
  passwordLength: number
  batchSeconds: number
  blockMs: number
  port: number
}

async function main(signal: AbortSignal): Promise<number> {
  let options: Options
  try {
    options = readOptions(process.argv.slice(2))
  } catch (error) {
    return exitCodeOf(error)
  }
  try {
    return await runHorde(options, signal)
  } catch (error) {
    if (!(error instanceof RequirementError)) throw error
    process.stderr.write(`${error.message}\n`)
    return 1
  }
}

async function runHorde(args: Options, signal: AbortSignal): Promise<number> {
  const log = args.json ? process.stderr : process.stdout
  const colour = log.isTTY === true
  const print = (text: string) => void log.write(`${text}\n`)
  const options: HordeOptions = {
    miners: args.miners,
    executors: args.executors,
    passwordLength: args.passwordLength,
    batchSeconds: args.batchSeconds,
    blockMs: args.blockMs,
    chainPort: args.port,
    environment: process.env,
    signal,
    // With --once the validator's stdout is its result, which is printed as a table instead.
    onLine: line =>
      args.once && line.service === 'validator' && !line.fields ? undefined : print(logLine(line, colour)),
  }
  await using horde = await startHorde(options)
  print(addresses(horde))
  if (!args.once) {
    await showProgress(horde, print, signal)
    return 0
  }
  const { result, ok } = await runOnce(horde, signal)
  print(resultTable(result, horde))
  if (args.json) process.stdout.write(`${JSON.stringify(result)}\n`)
  return ok ? 0 : 1
}

function addresses({ chainUrl, miners, folder }: Awaited<ReturnType<typeof startHorde>>): string {
  const rows = miners.map(({ member, url, adminUrl }) => `  ${member.name.padEnd(10)} ${url}   ${adminUrl}/status`)
  return ['', `  ${'chain'.padEnd(10)} ${chainUrl}`, ...rows, `  ${'folder'.padEnd(10)} ${folder}`, ''].join('\n')
}

/** @throws CommanderError after help, or when an option is wrong */
function readOptions(args: readonly string[]): Options {
  const output = {
    print: (text: string) => void process.stdout.write(text),
    complain: (text: string) => void process.stderr.write(text),
  }
  return (
    newCommand('pnpm dev', output)
      .description('Runs a local chain, one validator, miners, and executors on demand, until Ctrl-C.')
      .option('--miners <n>', 'how many miners, at most 16', wholeNumber(1, 16), 2)
      .addOption(
        new Option('--executors <kind>', "child processes of their miner, or containers of the executor's image")
          .choices(EXECUTOR_KINDS)
          .default('process'),
      )
      .option('--once', 'run one batch, set weights once, and stop')
      .option('--json', 'with --once: print the result as JSON on the last line of stdout, and the log to stderr')
      .option('--password-length <n>', 'characters of the passwords to crack, at most 6', wholeNumber(1, 6), 4)
      .option('--batch-seconds <n>', 'seconds from the start of one batch to the next', wholeNumber(5, 86_400), 60)
      .option('--block-ms <n>', "the chain's block time, in milliseconds", wholeNumber(50, 60_000), 1_000)
      .option('--port <n>', "the chain's port; 0 lets the system choose", wholeNumber(0, 65_535), 0)
      // pnpm passes on the -- that separates its own options from the script's.
      .parse(args[0] === '--' ? args.slice(1) : args, { from: 'user' })
      .opts<Options>()
  )
}

await runService('devnet', main, { stopWithinMs: STOP_WITHIN_MS })
