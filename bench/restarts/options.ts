/** What a run of restarts is asked for on its command line. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'

export const USAGE = `usage: pnpm restarts [--jobs 200] [--miners 10] [--executors 4] [--kill 6] [--work 3] [--seed N]
  --jobs N       how many jobs there must be before the validator is left alone
  --miners N     how many miners there are
  --executors N  how many executors each of them has
  --kill S       the validator is killed with -9 up to so many seconds after it has started, now and then before that
  --work S       how long a job takes at most, in seconds; a sixth of that at least
  --seed N       draws the same moments again`

/** The command line is not one. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export interface RestartOptions {
  jobs: number
  miners: number
  executors: number
  killSeconds: number
  workSeconds: number
  seed: number
}

const LARGEST_SEED = 2 ** 32

/** Rejects with UsageError. */
export function readOptions(args: readonly string[]): RestartOptions {
  const values = valuesOf(args)
  const whole = (name: keyof typeof values, least: number, most: number) => {
    const value = Number(values[name])
    if (!/^\d{1,10}$/.test(values[name]) || value < least || value > most)
      throw new UsageError(`--${name} must be a whole number from ${least} to ${most}`)
    return value
  }
  return {
    jobs: whole('jobs', 1, 100_000),
    miners: whole('miners', 1, 200),
    executors: whole('executors', 1, 64),
    killSeconds: whole('kill', 3, 3_600),
    workSeconds: whole('work', 1, 25),
    seed: whole('seed', 0, LARGEST_SEED - 1),
  }
}

function valuesOf(args: readonly string[]) {
  const text = (value: string) => ({ type: 'string' as const, default: value })
  try {
    const seed = text(String(randomInt(LARGEST_SEED)))
    const options = {
      ...{ jobs: text('200'), miners: text('10'), executors: text('4'), kill: text('6'), work: text('3'), seed },
    }
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
