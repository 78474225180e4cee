/** Reads the command line of a run of restarts. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import { DIALECT_USAGE, dialectsIn } from '../dialects.ts'

export const USAGE = `usage: pnpm restarts [--jobs 200] [--miners 10] [--executors 4] [--kill 6] [--work 3]
                     [--dialect both] [--seed N]
  --jobs N       stop killing once the validator has this many jobs
  --miners N     simulated miners
  --executors N  executors of each miner
  --kill S       kill the validator with -9 up to S seconds after it has started, and sometimes before
  --work S       let a job take S seconds at most, and a sixth of that at least
  --dialect D    ${DIALECT_USAGE}: the simulated miners' dialects
  --seed N       draw the same moments again`

/** The command line is invalid. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export interface RestartOptions {
  jobs: number
  miners: number
  executors: number
  killSeconds: number
  workSeconds: number
  /** The miners have these in turn. */
  dialects: readonly Dialect[]
  seed: number
}

const LARGEST_SEED = 2 ** 32

/** @throws UsageError */
export function readOptions(args: readonly string[]): RestartOptions {
  const values = valuesOf(args)
  const whole = (name: Exclude<keyof typeof values, 'dialect'>, least: number, most: number) => {
    const value = Number(values[name])
    if (!/^\d{1,10}$/.test(values[name]) || value < least || value > most)
      throw new UsageError(`--${name} must be a whole number from ${least} to ${most}`)
    return value
  }
  const dialects = dialectsIn(values.dialect)
  if (dialects === undefined) throw new UsageError('--dialect must be v0, v2026 or both')
  return {
    dialects,
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
      dialect: text('both'),
    }
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
