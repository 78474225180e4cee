/** The commands of the validator, and what their lines may say. */
import { type Commands, type OptionValues, readLine, usage as usageOf } from '@horde/operator/command-line/commands'
import { EXECUTOR_CLASSES, type ExecutorClass, isExecutorClass } from '@horde/protocol/classes'

const PROGRAM = 'node packages/validator/src/main.ts'
/** The longest time that a job of the command line may take, in seconds. */
const MAX_TIMEOUT_SECONDS = 86_400

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
  /** The whole job's; undefined: as users' jobs have. */
  timeoutSeconds: number | undefined
}

/** What the command line asks for. */
export type Command =
  | { name: 'serve' }
  | { name: 'check' }
  | { name: 'batch'; json: boolean; miners: string[] }
  | { name: 'run-job'; job: WantedJob }
  | { name: 'weights'; json: boolean; dryRun: boolean }
  | { name: 'explain'; miner: string }
  | { name: 'help'; of: CommandName | undefined }
  | { name: 'version' }

export type CommandName = keyof typeof COMMANDS

const JSON_OPTION = { json: { type: 'boolean', about: 'as JSON, on one line' } } as const
const MINER = 'a hotkey, a uid, or hotkey@host:port for a fixed address'

const COMMANDS = {
  serve: {
    about: "runs batches, sets weights and takes a facilitator's jobs until it is stopped; the default",
    more: 'Its log goes to stdout as JSON lines. ADMIN_PORT opens /health, /metrics and /status.',
    options: {},
  },
  check: {
    about: 'says whether this validator can work: a line for everything, ok, warn or bad, with what to do',
    more: 'Changes nothing, also beside a validator that runs. Exits with 1 when something is bad.',
    options: {},
  },
  batch: {
    about: 'runs one batch of synthetic jobs now, and sets weights after it',
    more: 'With --miner it is a trial: only those miners, never scored, and no weights are set.',
    options: {
      miner: { type: 'string', value: 'MINER', multiple: true, about: `only this one; may be repeated: ${MINER}` },
      ...JSON_OPTION,
    },
  },
  'run-job': {
    about: "runs a user's job on a miner, and exits with its exit code",
    more: "The job's stdout goes to stdout, its stderr and the progress to stderr. Exits with 1 when it did not run.",
    options: {
      miner: { type: 'string', about: MINER },
      image: { type: 'string', about: 'the image to run' },
      script: { type: 'string', value: 'FILE', about: 'or a Python script, from a file' },
      input: { type: 'string', value: 'URL', about: 'of a zip that is unpacked at /volume/' },
      output: { type: 'string', value: 'URL', about: 'to which a zip of /output/ is put' },
      gpu: { type: 'boolean', about: 'with the GPUs of the executor' },
      class: { type: 'string', about: `of the executor: ${EXECUTOR_CLASSES.join(', ')}` },
      timeout: { type: 'string', value: 'SECONDS', about: 'for the whole job' },
    },
    rest: '-- [arguments of the job]',
  },
  weights: {
    about: 'sets the weights that are due, once',
    more: 'Waits for the rate limit as the validator does. Exits with 1 when they were not set.',
    options: {
      'dry-run': { type: 'boolean', about: 'only says what would be set' },
      ...JSON_OPTION,
    },
  },
  explain: {
    about: 'says how a miner came to its weight: its jobs, its scores, its part',
    more: 'Of the last setting of weights, from the database and the chain.',
    options: {},
    rest: '<hotkey or uid>',
  },
} as const satisfies Commands

/** The command, or what is wrong with the line. */
export function readCommand(args: readonly string[]): Command | { mistake: string } {
  const line = readLine<CommandName>(args, COMMANDS, 'serve')
  if ('mistake' in line) return line
  if ('version' in line) return { name: 'version' }
  return 'help' in line ? { name: 'help', of: line.of } : commandOf(line.name, line.values, line.rest)
}

/** @param of without it, all commands */
export function usage(of?: CommandName): string {
  return usageOf<CommandName>(PROGRAM, COMMANDS, of)
}

function commandOf(name: CommandName, values: OptionValues, rest: string[]): Command | { mistake: string } {
  const json = values.json === true
  if (name === 'batch') return { name, json, miners: (values.miner ?? []) as string[] }
  if (name === 'weights') return { name, json, dryRun: values['dry-run'] === true }
  if (name === 'explain') return minerOf(rest)
  if (name !== 'run-job') return { name }
  const job = jobOf(values as JobValues, rest)
  return typeof job === 'string' ? { mistake: `run-job: ${job}` } : { name, job }
}

function minerOf([miner, ...more]: string[]): Command | { mistake: string } {
  if (miner === undefined || more.length > 0) return { mistake: 'explain: one hotkey or uid is needed' }
  return { name: 'explain', miner }
}

type JobValues = Partial<
  Record<'miner' | 'image' | 'script' | 'input' | 'output' | 'class' | 'timeout', string> & { gpu: boolean }
>

/** The job, or what is wrong with it. */
function jobOf(values: JobValues, args: string[]): WantedJob | string {
  const { miner, image = '', script = '', input = '', output = '', gpu = false, class: name, timeout } = values
  if (!miner) return '--miner is needed'
  if ((image === '') === (script === '')) return 'exactly one of --image and --script is needed'
  if (name !== undefined && !isExecutorClass(name)) return `--class must be one of ${EXECUTOR_CLASSES.join(', ')}`
  const seconds = timeout === undefined ? undefined : Number(timeout)
  if (seconds !== undefined && !(seconds >= 1 && seconds <= MAX_TIMEOUT_SECONDS)) {
    return `--timeout must be from 1 to ${MAX_TIMEOUT_SECONDS}`
  }
  const source = image === '' ? { script } : { image }
  return { miner, source, args, gpu, input, output, executorClass: name, timeoutSeconds: seconds }
}
