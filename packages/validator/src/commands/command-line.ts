/** The validator's commands and their options. */
import { type Output, Program } from '@horde/operator/command-line/program'
import { EXECUTOR_CLASSES, type ExecutorClass } from '@horde/protocol/classes'
import { type Command, InvalidArgumentError, Option } from 'commander'

/** The longest --timeout, in seconds. */
const MAX_TIMEOUT_SECONDS = 86_400
const MINER = 'a hotkey, a uid, or hotkey@host:port for a fixed address'

/** A job as the command line asks for it. */
export type WantedJob = {
  /** A hotkey, a uid, or hotkey@host:port. */
  miner: string
  /** Either an image's name or a script's file. */
  source: { image: string } | { script: string }
  args: string[]
  gpu: boolean
  /** URLs; empty: none. */
  input: string
  output: string
  executorClass: ExecutorClass | undefined
  /** For the whole job; undefined: the same as for a facilitator's jobs. */
  timeoutSeconds: number | undefined
}

/** What a command gets from the program. */
export type CommandDeps = Output & {
  environment: NodeJS.ProcessEnv
  /** How long a command waits for an absent database server, in milliseconds. Unset: ten seconds. */
  databaseConnectMs?: number
}

/** What each command does. Returns its exit code. */
export type Handlers = {
  serve(): Promise<number>
  check(): Promise<number>
  batch(options: { json: boolean; miners: string[] }): Promise<number>
  runJob(job: WantedJob): Promise<number>
  weights(options: { json: boolean; dryRun: boolean }): Promise<number>
  explain(options: { miner: string }): Promise<number>
}

export function validatorProgram(output: Output, handlers: Handlers): Program {
  const program = new Program('node packages/validator/src/main.ts', 'serve', output)
  program
    .command('serve', {
      summary: "runs batches, sets weights and takes a facilitator's jobs until it is stopped; the default",
      details: 'Its log goes to stdout as JSON lines. ADMIN_PORT opens /health, /metrics and /status.',
    })
    .action(program.action(() => handlers.serve()))
  program
    .command('check', {
      summary:
        'checks whether this validator can work: one line per finding, ok, warn or bad, with what to do about it',
      details: 'Changes nothing, and may run beside a running validator. Exits with 1 when a finding is bad.',
    })
    .action(program.action(() => handlers.check()))
  program
    .command('batch', {
      summary: 'runs one batch of synthetic jobs now, and sets weights after it',
      details: 'With --miner it is a trial: it is never scored, and no weights are set.',
    })
    .option('--miner <miner>', `run the batch on this miner only; may be repeated: ${MINER}`, collect, [])
    .option('--json', 'as JSON, on one line')
    .action(
      program.action(({ json = false, miner: miners }: { json?: boolean; miner: string[] }) => {
        return handlers.batch({ json, miners })
      }),
    )
  addRunJob(program, handlers)
  program
    .command('weights', {
      summary: 'sets the weights that are due',
      details: 'Waits for the rate limit as a serving validator does. Exits with 1 when the weights were not set.',
    })
    .option('--dry-run', 'print what would be set, and set nothing')
    .option('--json', 'as JSON, on one line')
    .action(
      program.action(({ json = false, dryRun = false }: { json?: boolean; dryRun?: boolean }) => {
        return handlers.weights({ json, dryRun })
      }),
    )
  program
    .command('explain', {
      summary: "explains a miner's weight: its jobs, its scores, its share",
      details: 'Reads the last setting of weights from the database and the chain.',
    })
    .argument('<miner>', 'a hotkey or a uid')
    .action(program.action((miner: string) => handlers.explain({ miner })))
  return program
}

type JobOptions = {
  miner: string
  image?: string
  script?: string
  input?: string
  output?: string
  gpu?: boolean
  class?: ExecutorClass
  timeout?: number
}

function addRunJob(program: Program, handlers: Handlers): void {
  program
    .command('run-job', {
      summary: "runs a user's job on a miner, and exits with its exit code",
      details:
        "Prints the job's stdout to stdout, its stderr and the progress to stderr. Exits with 1 when it did not run.",
    })
    .argument('[arguments...]', 'for the job, after --')
    .requiredOption('--miner <miner>', MINER)
    .option('--image <image>', 'the image to run')
    .option('--script <file>', 'or a Python script, from a file')
    .option('--input <url>', 'of a zip to unpack at /volume/')
    .option('--output <url>', 'that receives a zip of /output/ by PUT')
    .option('--gpu', "give the job the executor's GPUs")
    .addOption(new Option('--class <class>', 'the class of the executor').choices(EXECUTOR_CLASSES))
    .option('--timeout <seconds>', 'for the whole job, at most 86400', timeoutSeconds)
    .action(
      program.action((args: string[], options: JobOptions, command: Command) => {
        const { miner, image, script, input = '', output = '', gpu = false, class: executorClass, timeout } = options
        const source = image ? { image } : script ? { script } : undefined
        if (source === undefined || (image && script)) {
          command.error('error: exactly one of --image and --script is needed')
        }
        return handlers.runJob({ miner, source, args, gpu, input, output, executorClass, timeoutSeconds: timeout })
      }),
    )
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value]
}

function timeoutSeconds(text: string): number {
  const seconds = Number(text)
  if (seconds >= 1 && seconds <= MAX_TIMEOUT_SECONDS) return seconds
  throw new InvalidArgumentError(`It must be from 1 to ${MAX_TIMEOUT_SECONDS}.`)
}
