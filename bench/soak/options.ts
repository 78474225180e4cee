/** Reads the command line of a soak. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'

export const USAGE = `usage: pnpm soak [--jobs 500] [--at-once 32] [--waves 3] [--hostile 3] [--only PATTERN]
                 [--seed N] [--shared]
  --jobs N      honest jobs that run one after the other
  --at-once N   honest jobs of a wave, which run at the same time
  --waves N     waves of honest jobs
  --hostile N   rounds of the hostile jobs, in random order, with an honest job after each
  --only P      run only the hostile jobs whose name matches this regular expression
  --seed N      draw the same order and the same honest jobs again
  --shared      others use this engine too: report a leak only when it is certainly this run's own`

/** The command line is invalid. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export interface SoakOptions {
  jobs: number
  atOnce: number
  waves: number
  hostileRounds: number
  only: RegExp
  seed: number
  shared: boolean
}

const LARGEST_SEED = 2 ** 32
const MOST = 1_000_000

/** @throws UsageError */
export function readOptions(args: readonly string[]): SoakOptions {
  const values = valuesOf(args)
  const whole = (name: 'jobs' | 'at-once' | 'waves' | 'hostile' | 'seed', most: number) => {
    const text = values[name]
    if (!/^\d{1,10}$/.test(text) || Number(text) > most)
      throw new UsageError(`--${name} must be a whole number up to ${most}`)
    return Number(text)
  }
  return {
    jobs: whole('jobs', MOST),
    atOnce: whole('at-once', MOST),
    waves: whole('waves', MOST),
    hostileRounds: whole('hostile', MOST),
    only: pattern(values.only),
    seed: whole('seed', LARGEST_SEED - 1),
    shared: values.shared,
  }
}

function valuesOf(args: readonly string[]) {
  const text = (value: string) => ({ type: 'string' as const, default: value })
  try {
    const options = {
      jobs: text('500'),
      'at-once': text('32'),
      waves: text('3'),
      hostile: text('3'),
      only: text('.'),
      seed: text(String(randomInt(LARGEST_SEED))),
      shared: { type: 'boolean' as const, default: false },
    }
    // pnpm passes on the -- that separates its own options from the script's.
    return parseArgs({ args: args.filter(arg => arg !== '--'), options }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text)
  } catch {
    throw new UsageError('--only must be a regular expression')
  }
}
