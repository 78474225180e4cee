/** The command `check`: reports whether this validator can work, one line for each finding. Changes nothing. */
import { ownHotkey } from '@horde/chain/settings'
import { type Finding, ok } from '@horde/kit/check/finding'
import { mistakesOf, printFindings } from '@horde/kit/check/report'
import { systemClock } from '@horde/kit/time'
import { checkDatabase } from '@horde/operator/check/database'
import { lookAtDisks } from '@horde/operator/watch/disk'
import { readValidatorConfig, type ValidatorConfig } from '../config.ts'
import { migrationsFolder } from '../db/migrations.ts'
import { benchmarkFinding } from '../operator/check/benchmark.ts'
import { chainFindings } from '../operator/check/chain.ts'
import { facilitatorFinding } from '../operator/check/facilitator.ts'
import { diskFolders, diskRules } from '../operator/watches/validator-watches.ts'
import type { CommandDeps } from './run-command.ts'

/** Returns the exit code: 0 when nothing is bad, else 1. */
export function check({ environment, print }: CommandDeps, signal: AbortSignal): Promise<number> {
  return printFindings(findings(environment, signal), print)
}

async function* findings(environment: NodeJS.ProcessEnv, signal: AbortSignal): AsyncGenerator<Finding> {
  const config = configOr(environment)
  if (Array.isArray(config)) return yield* config
  yield ok('settings', 'all can be read')
  const hotkey = yield* hotkeyFindings(config)
  yield* chainFindings(config, hotkey, signal)
  yield await benchmarkFinding(config.benchmarkSettings, systemClock.now())
  yield* databaseFindings(config, signal)
  yield await facilitatorFinding(config.FACILITATOR_URI, signal)
}

/** Returns the hotkey; undefined when it cannot be read. Everything that needs no hotkey is checked all the same. */
async function* hotkeyFindings(config: ValidatorConfig): AsyncGenerator<Finding, string | undefined> {
  try {
    const { ss58 } = await ownHotkey(config)
    yield ok('hotkey', ss58)
    return ss58
  } catch (error) {
    yield* mistakesOf(error)
    return undefined
  }
}

async function* databaseFindings(config: ValidatorConfig, signal: AbortSignal): AsyncGenerator<Finding> {
  yield (await checkDatabase(config.databaseUrl, { service: 'validator', migrationsFolder }, signal)).finding
  const { RETENTION_DAYS: batches, WEIGHTS_RETENTION_DAYS: settings } = config
  yield ok('retention', `batches and jobs are kept for ${batches} days, settings of weights for ${settings}`)
  yield* await lookAtDisks(diskFolders(config), diskRules(config))
}

/** Returns the settings, or a finding for each mistake in them. */
function configOr(environment: NodeJS.ProcessEnv): ValidatorConfig | Finding[] {
  try {
    return readValidatorConfig(environment)
  } catch (error) {
    return mistakesOf(error)
  }
}
