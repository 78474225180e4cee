/** The miner's commands and their options. */
import { type Output, Program, wholeNumber } from '@horde/operator/command-line/program'
import { JOB_STATES, type JobState } from '@horde/protocol/job-state'
import { Option } from 'commander'
import { MAX_LISTED } from '../db/jobs.ts'

/** How many jobs the command `jobs` lists unless --last is given. */
const LISTED = 20

/** What a command gets from the program. */
export type CommandDeps = Output & {
  environment: NodeJS.ProcessEnv
  /** Sets what SIGHUP does from now on. */
  setOnHangup(reload: () => void): void
  /** How long a command waits for an absent database server, in milliseconds. Unset: ten seconds. */
  databaseConnectMs?: number
}

/** Which jobs `jobs` lists. */
export type JobsWanted = { last: number; state: JobState | undefined; json: boolean }

/** What each command does. Returns its exit code. */
export type Handlers = {
  serve(): Promise<number>
  check(): Promise<number>
  announce(): Promise<number>
  validators(options: { json: boolean }): Promise<number>
  jobs(wanted: JobsWanted): Promise<number>
  unpin(validator: string): Promise<number>
}

export function minerProgram(output: Output, handlers: Handlers): Program {
  const program = new Program('node packages/miner/src/main.ts', 'serve', output)
  program
    .command('serve', {
      summary: 'serves validators until it is stopped; the default',
      details: 'Its log goes to stdout as JSON lines. ADMIN_PORT opens /health, /metrics and /status.',
    })
    .action(program.action(() => handlers.serve()))
  program
    .command('check', {
      summary: 'checks whether this miner can work: one line per finding, ok, warn or bad, with what to do about it',
      details: 'Changes nothing, and may run beside a running miner. Exits with 1 when a finding is bad.',
    })
    .action(program.action(() => handlers.check()))
  program
    .command('validators', {
      summary:
        'lists the validators that may use this miner: rank, stake, permit, and who is added or banned by setting',
      details: 'Asks the chain.',
    })
    .option('--json', 'as JSON')
    .action(program.action(({ json = false }: { json?: boolean }) => handlers.validators({ json })))
  program
    .command('jobs', {
      summary: 'lists the last jobs',
      details: 'Reads the database. While a running miner uses the embedded one, asks that miner at its ADMIN_PORT.',
    })
    .option('--last <last>', `how many, at most ${MAX_LISTED}`, wholeNumber(1, MAX_LISTED), LISTED)
    .addOption(new Option('--state <state>', 'only jobs in this state').choices(JOB_STATES))
    .option('--json', 'as JSON')
    .action(
      program.action(({ json = false, last, state }: Pick<JobsWanted, 'last' | 'state'> & { json?: boolean }) => {
        return handlers.jobs({ json, last, state })
      }),
    )
  program
    .command('unpin', {
      summary: 'takes unsigned offers and work of a validator again, although it has signed lately',
      details:
        'For a validator that has gone back to a release that signs nothing. Changes the database. While a running ' +
        'miner uses the embedded one, asks that miner at its ADMIN_PORT. SIGNED_FRAMES_FROM still counts.',
    })
    .argument('<hotkey>', 'the hotkey of the validator')
    .action(program.action((validator: string) => handlers.unpin(validator)))
  program
    .command('announce', {
      summary: "announces this miner's address on the chain once, unless the chain has it already",
      details: 'A serving miner does this without being asked.',
    })
    .action(program.action(() => handlers.announce()))
  return program
}
