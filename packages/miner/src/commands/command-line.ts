/** The commands of the miner, and what their lines may say. */
import { type Commands, type OptionValues, readLine, usage as usageOf } from '@horde/operator/command-line/commands'
import { JOB_STATES, type JobState } from '@horde/protocol/job-state'
import { MAX_LISTED } from '../db/list-jobs.ts'

const PROGRAM = 'node packages/miner/src/main.ts'
/** How many jobs the command `jobs` lists. */
const LISTED = 20

/** What the command line asks for. */
export type Command =
  | { name: 'serve' | 'check' | 'announce' }
  | { name: 'validators'; json: boolean }
  | { name: 'jobs'; json: boolean; last: number; state: JobState | undefined }
  | { name: 'help'; of: CommandName | undefined }
  | { name: 'version' }

export type CommandName = keyof typeof COMMANDS

const JSON_OPTION = { json: { type: 'boolean', about: 'as JSON' } } as const

const COMMANDS = {
  serve: {
    about: 'serves validators until it is stopped; the default',
    more: 'Its log goes to stdout as JSON lines. ADMIN_PORT opens /health, /metrics and /status.',
    options: {},
  },
  check: {
    about: 'says whether this miner can work: a line for everything, ok, warn or bad, with what to do',
    more: 'Changes nothing, also beside a miner that runs. Exits with 1 when something is bad.',
    options: {},
  },
  validators: {
    about: 'lists who may talk to this miner: rank, hotkey, stake, permit, and who is extra or banned by setting',
    more: 'Asks the chain.',
    options: JSON_OPTION,
  },
  jobs: {
    about: 'lists the last jobs',
    more: 'From the database, or, while the embedded one is in use, from the running miner by its ADMIN_PORT.',
    options: {
      last: { type: 'string', about: `how many, at most ${MAX_LISTED}; ${LISTED} unless told` },
      state: { type: 'string', about: `only those in one state: ${JOB_STATES.join(', ')}` },
      ...JSON_OPTION,
    },
  },
  announce: {
    about: "announces this miner's address on the chain once, unless the chain says it already",
    more: 'The miner does this by itself while it serves.',
    options: {},
  },
} as const satisfies Commands

/** The command, or what is wrong with the line. */
export function readCommand(args: readonly string[]): Command | { mistake: string } {
  const line = readLine<CommandName>(args, COMMANDS, 'serve')
  if ('mistake' in line) return line
  if ('version' in line) return { name: 'version' }
  return 'help' in line ? { name: 'help', of: line.of } : commandOf(line.name, line.values)
}

/** @param of without it, all commands */
export function usage(of?: CommandName): string {
  return usageOf<CommandName>(PROGRAM, COMMANDS, of)
}

type Values = { json?: boolean; last?: string; state?: string }

function commandOf(name: CommandName, values: OptionValues): Command | { mistake: string } {
  const { json = false, last = String(LISTED), state } = values as Values
  if (name === 'validators') return { name, json }
  if (name !== 'jobs') return { name }
  const count = /^\d{1,4}$/.test(last) ? Number(last) : 0
  if (count < 1 || count > MAX_LISTED) return { mistake: `jobs: --last must be from 1 to ${MAX_LISTED}` }
  if (state !== undefined && !isState(state))
    return { mistake: `jobs: --state must be one of ${JOB_STATES.join(', ')}` }
  return { name, json, last: count, state }
}

function isState(text: string): text is JobState {
  return (JOB_STATES as readonly string[]).includes(text)
}
