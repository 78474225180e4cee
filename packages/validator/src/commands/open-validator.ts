import { ChainError } from '@horde/chain/errors'
import { ownHotkey, validatorRuleOf } from '@horde/chain/settings'
import { connectSubtensor, type Subtensor } from '@horde/chain/subtensor'
import { DatabaseError, openDatabase } from '@horde/kit/database'
import { createLog, type LogOptions } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { BusyError, type ValidatorDeps } from '../app.ts'
import { BenchmarkError, loadBenchmark } from '../benchmarks/load-benchmark.ts'
import { readValidatorConfig } from '../config.ts'
import { migrationsFolder } from '../db/schema.ts'
import { UnknownMinerError } from '../jobs/miners/find-miners.ts'

export type OpenValidator = ValidatorDeps & { chain: Subtensor }

/**
 * Opens what a validator needs, by its settings. Everything closes with `stack`.
 *
 * @param options `destination`: where the log goes; commands log to stderr, because stdout is their result.
 * `mayBeAway`: whether to start while the chain does not answer, and connect later
 */
export async function openValidator(
  environment: NodeJS.ProcessEnv,
  { mayBeAway = false, ...where }: Pick<LogOptions, 'destination'> & { mayBeAway?: boolean },
  signal: AbortSignal,
  stack: AsyncDisposableStack,
): Promise<OpenValidator> {
  const config = readValidatorConfig(environment)
  const log = createLog('validator', { level: config.LOG_LEVEL, ...where })
  const hotkey = await ownHotkey(config)
  const benchmark = await loadBenchmark(config.benchmarkSettings)
  const database = stack.use(await openDatabase({ url: config.databaseUrl, migrationsFolder, log, signal }))
  const [endpoints, validatorRule] = [config.BITTENSOR_NETWORK, validatorRuleOf(config)]
  const chain = stack.use(await connectSubtensor({ endpoints, validatorRule, mayBeAway, log, signal }))
  return { config, chain, hotkey, benchmark, database, clock: systemClock, log }
}

const EXPECTED = [BenchmarkError, BusyError, ChainError, DatabaseError, UnknownMinerError]

/** Returns whether an error's message is enough for an operator, without a stack. */
export function isExpected(error: unknown): error is Error {
  return EXPECTED.some(each => error instanceof each)
}
