/** What a run of chaos is asked for on its command line. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'

export const USAGE = `usage: pnpm chaos [--jobs 200] [--executors 8] [--warm 3] [--validators 3] [--kill 10] [--postgres] [--seed N]
  --jobs N        how many jobs must be accepted, and end
  --executors N   how many executors the miner has
  --warm N        how many of them wait for a job
  --validators N  how many validators give it jobs; the last one as peers of 2024 do, with a connection for each job
  --kill S        the miner is killed with -9 up to so many seconds after it began to serve, now and then before that
  --postgres      the miner's database is a Postgres, not the embedded one
  --seed N        draws the same jobs and the same moments again`

/** The command line is not one. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export interface ChaosOptions {
  jobs: number
  executors: number
  warm: number
  validators: number
  killSeconds: number
  postgres: boolean
  seed: number
}

const LARGEST_SEED = 2 ** 32

/** Rejects with UsageError. */
export function readOptions(args: readonly string[]): ChaosOptions {
  const values = valuesOf(args)
  const whole = (name: Exclude<keyof typeof values, 'postgres'>, least: number, most: number) => {
    const text = values[name]
    const value = Number(text)
    if (!/^\d{1,10}$/.test(text) || value < least || value > most)
      throw new UsageError(`--${name} must be a whole number from ${least} to ${most}`)
    return value
  }
  const executors = whole('executors', 1, 64)
  return {
    jobs: whole('jobs', 1, 100_000),
    executors,
    warm: whole('warm', 0, executors),
    validators: whole('validators', 1, 16),
    killSeconds: whole('kill', 1, 3_600),
    postgres: values.postgres,
    seed: whole('seed', 0, LARGEST_SEED - 1),
  }
}

function valuesOf(args: readonly string[]) {
  const text = (value: string) => ({ type: 'string' as const, default: value })
  try {
    const options = {
      jobs: text('200'),
      executors: text('8'),
      warm: text('3'),
      validators: text('3'),
      kill: text('10'),
      postgres: { type: 'boolean' as const, default: false },
      seed: text(String(randomInt(LARGEST_SEED))),
    }
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
