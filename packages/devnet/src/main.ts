/** `pnpm dev`: a whole horde on this machine, until Ctrl-C; with --once, one batch and one setting of weights. */
import { parseArgs } from 'node:util'
import { ConfigError } from '@horde/kit/config'
import { runService } from '@horde/kit/run'
import { watchHorde } from './dashboard.ts'
import { EXECUTOR_KINDS, type HordeOptions, startHorde } from './network.ts'
import { resultTable, runOnce } from './once.ts'
import { RequirementError } from './requirements.ts'
import { logLine } from './view.ts'

const HELP = `pnpm dev [options]   a local chain, one validator, miners, and executors on demand

  --miners N            how many miners (default 2, at most 16)
  --executors KIND      process (default): child processes of their miner; docker: containers of the executor image
  --once                one batch and one setting of weights, then stop
  --json                with --once: the result as one JSON object on the last line; the log goes to stderr
  --password-length N   characters of the passwords that are cracked (default 4)
  --batch-seconds N     from the beginning of a batch to that of the next (default 60)
  --block-ms N          the chain's block time in milliseconds (default 1000)
  --port N              the chain's port (default: a free one)
  --help
`

/** How long everything may take to stop, in milliseconds. */
const STOP_WITHIN_MS = 90_000
const USAGE_ERROR = 64

type Arguments = {
  miners: number
  executors: (typeof EXECUTOR_KINDS)[number]
  once: boolean
  json: boolean
  passwordLength: number
  batchSeconds: number
  blockMs: number
  chainPort: number
}

async function main(signal: AbortSignal): Promise<number> {
  const read = readArguments(process.argv.slice(2))
  if (typeof read === 'string') {
    const isHelp = read === HELP
    ;(isHelp ? process.stdout : process.stderr).write(read)
    return isHelp ? 0 : USAGE_ERROR
  }
  try {
    return await runHorde(read, signal)
  } catch (error) {
    if (!(error instanceof RequirementError)) throw error
    process.stderr.write(`${error.message}\n`)
    return 1
  }
}

async function runHorde(args: Arguments, signal: AbortSignal): Promise<number> {
  const log = args.json ? process.stderr : process.stdout
  const colour = log.isTTY === true
  const say = (text: string) => void log.write(`${text}\n`)
  const options: HordeOptions = {
    miners: args.miners,
    executors: args.executors,
    passwordLength: args.passwordLength,
    batchSeconds: args.batchSeconds,
    blockMs: args.blockMs,
    chainPort: args.chainPort,
    environment: process.env,
    signal,
    // The validator's result, alone on its stdout, is shown as a table instead.
    onLine: line =>
      args.once && line.service === 'validator' && !line.fields ? undefined : say(logLine(line, colour)),
  }
  await using horde = await startHorde(options)
  say(urls(horde))
  if (!args.once) {
    await watchHorde(horde, say, signal)
    return 0
  }
  const { result, ok } = await runOnce(horde, signal)
  say(resultTable(result, horde))
  if (args.json) process.stdout.write(`${JSON.stringify(result)}\n`)
  return ok ? 0 : 1
}

function urls({ chainUrl, miners, folder }: Awaited<ReturnType<typeof startHorde>>): string {
  const rows = miners.map(({ member, url, adminUrl }) => `  ${member.name.padEnd(10)} ${url}   ${adminUrl}/health`)
  return ['', `  ${'chain'.padEnd(10)} ${chainUrl}`, ...rows, `  ${'folder'.padEnd(10)} ${folder}`, ''].join('\n')
}

function readArguments(argv: string[]): Arguments | string {
  try {
    const { values } = parseArgs({
      args: argv[0] === '--' ? argv.slice(1) : argv,
      options: {
        miners: { type: 'string', default: '2' },
        executors: { type: 'string', default: 'process' },
        once: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        'password-length': { type: 'string', default: '4' },
        'batch-seconds': { type: 'string', default: '60' },
        'block-ms': { type: 'string', default: '1000' },
        port: { type: 'string', default: '0' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return HELP
    const executors = EXECUTOR_KINDS.find(kind => kind === values.executors)
    if (!executors) throw new Error(`--executors is process or docker, not ${values.executors}`)
    return {
      miners: wholeNumber('--miners', values.miners, 1, 16),
      executors,
      once: values.once,
      json: values.json,
      passwordLength: wholeNumber('--password-length', values['password-length'], 1, 6),
      batchSeconds: wholeNumber('--batch-seconds', values['batch-seconds'], 5, 86_400),
      blockMs: wholeNumber('--block-ms', values['block-ms'], 50, 60_000),
      chainPort: wholeNumber('--port', values.port, 0, 65_535),
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error
    return `${error instanceof Error ? error.message : error}\n\n${HELP}`
  }
}

function wholeNumber(option: string, text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= min && value <= max)) throw new Error(`${option} is a whole number from ${min} to ${max}, not ${text}`)
  return value
}

await runService('devnet', main, { stopWithinMs: STOP_WITHIN_MS })
