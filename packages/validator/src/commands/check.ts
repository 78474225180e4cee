/** The command `check`: reports whether this validator can work, one line for each finding. Changes nothing. */
import { ownHotkey } from '@horde/chain/settings'
import { type Finding, ok } from '@horde/kit/check/finding'
import { printFindings } from '@horde/kit/check/report'
import { systemClock } from '@horde/kit/time'
import { checkDatabase } from '@horde/operator/check/database'
import { hotkeyFindings, settingsFindings } from '@horde/operator/check/own-settings'
import { diskRules, lookAtDisks } from '@horde/operator/watch/disk'
import { readValidatorConfig, type ValidatorConfig } from '../config.ts'
import { migrationsFolder } from '../db/schema.ts'
import { benchmarkFinding, chainFindings, facilitatorFinding } from '../operator/check.ts'
import { diskFolders } from '../operator/watches/validator-watches.ts'
import type { CommandDeps } from './command-line.ts'

/** Returns the exit code: 0 when nothing is bad, else 1. */
export function check(deps: CommandDeps, signal: AbortSignal): Promise<number> {
  return printFindings(findings(deps, signal), deps.print)
}

async function* findings(deps: CommandDeps, signal: AbortSignal): AsyncGenerator<Finding> {
  const config = yield* settingsFindings(() => readValidatorConfig(deps.environment))
  if (config === undefined) return
  const hotkey = yield* hotkeyFindings(() => ownHotkey(config))
  yield* chainFindings(config, hotkey, signal)
  yield await benchmarkFinding(config.benchmarkSettings, systemClock.now())
  yield* databaseFindings(config, deps.databaseConnectMs, signal)
  yield await facilitatorFinding(config.FACILITATOR_URI, signal)
}

async function* databaseFindings(
  config: ValidatorConfig,
  connectMs: number | undefined,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const owner = { service: 'validator', migrationsFolder, connectMs }
  yield (await checkDatabase(config.databaseUrl, owner, signal)).finding
  const { RETENTION_DAYS: batches, WEIGHTS_RETENTION_DAYS: settings } = config
  yield ok('retention', `batches and jobs are kept for ${batches} days, settings of weights for ${settings}`)
  yield* await lookAtDisks(diskFolders(config), diskRules(config))
}
