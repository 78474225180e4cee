/**
 * `pnpm tables`: writes what tests compare with the definitions in the code: the tables of settings and metrics in the
 * services' READMEs, and docker/<service>.env.example.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { envExample } from '@horde/deploy/env-example'
import { settingsTable } from '@horde/kit/config'
import { metricsTable } from '@horde/kit/metrics/definitions'
import { settings as executorSettings } from '../packages/executor/src/config.ts'
import { minerSettings } from '../packages/miner/src/config.ts'
import { METRICS as minerMetrics } from '../packages/miner/src/operator/metrics/definitions.ts'
import { validatorSettings } from '../packages/validator/src/config.ts'
import { METRICS as validatorMetrics } from '../packages/validator/src/operator/metrics/definitions.ts'

writeTables('executor', settingsTable(executorSettings))
writeTables('miner', settingsTable(minerSettings), metricsTable(minerMetrics))
writeTables('validator', settingsTable(validatorSettings), metricsTable(validatorMetrics))
for (const role of ['miner', 'validator'] as const) {
  writeFileSync(new URL(`../docker/${role}.env.example`, import.meta.url), envExample(role))
}

/** Replaces each table in a package's README: the lines from its header to the last one that begins with `|`. */
function writeTables(name: string, ...tables: string[]): void {
  const readme = new URL(`../packages/${name}/README.md`, import.meta.url)
  let text = readFileSync(readme, 'utf8')
  for (const table of tables) {
    const header = table.slice(0, table.indexOf('\n') + 1)
    const start = text.indexOf(header)
    if (start < 0) throw new Error(`${name}/README.md has no table with the header ${header}`)
    const [old = ''] = /^(\|.*\n)+/.exec(text.slice(start)) ?? []
    text = text.slice(0, start) + table + text.slice(start + old.length)
  }
  writeFileSync(readme, text)
}
