/** Reads the command line of a chaos run. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import { DIALECT_USAGE, dialectsIn } from '../dialects.ts'

export const USAGE = `usage: pnpm chaos [--jobs 200] [--executors 8] [--warm 3] [--validators 3] [--kill 10]
                  [--dialect both] [--postgres] [--seed N]
  --jobs N        stop once this many jobs were accepted and have ended
  --executors N   executors of the miner
  --warm N        executors that the miner keeps warm
  --validators N  validators that offer jobs; the last one opens a connection for each job of v0, as v0 validators do
  --kill S        kill the miner with -9 up to S seconds after it began to serve, and sometimes before
  --dialect D     ${DIALECT_USAGE}
  --postgres      store the miner's jobs in Postgres, not in the embedded database
  --seed N        draw the same jobs and the same moments again`

/** The command line is invalid. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export interface ChaosOptions {
  jobs: number
  executors: number
  warm: number
  validators: number
  killSeconds: number
  /** The validators offer their jobs in these in turn. */
  dialects: readonly Dialect[]
  postgres: boolean
  seed: number
}

const LARGEST_SEED = 2 ** 32

/** @throws UsageError */
export function readOptions(args: readonly string[]): ChaosOptions {
  const values = valuesOf(args)
  const whole = (name: Exclude<keyof typeof values, 'postgres' | 'dialect'>, least: number, most: number) => {
    const text = values[name]
    const value = Number(text)
    if (!/^\d{1,10}$/.test(text) || value < least || value > most)
      throw new UsageError(`--${name} must be a whole number from ${least} to ${most}`)
    return value
  }
  const executors = whole('executors', 1, 64)
  const dialects = dialectsIn(values.dialect)
  if (dialects === undefined) throw new UsageError('--dialect must be v0, v2026 or both')
  return {
    jobs: whole('jobs', 1, 100_000),
    executors,
    warm: whole('warm', 0, executors),
    validators: whole('validators', 1, 16),
    killSeconds: whole('kill', 1, 3_600),
    dialects,
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
      dialect: text('both'),
      postgres: { type: 'boolean' as const, default: false },
      seed: text(String(randomInt(LARGEST_SEED))),
    }
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
