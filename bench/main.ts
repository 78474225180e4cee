/** Runs all benchmarks and prints their tables. Command: `pnpm bench [rounds] [jobs at once] [--dialect both]`. */
import { parseArgs } from 'node:util'
import { benchConcurrentJobs } from './concurrent-jobs.ts'
import { dialectsIn } from './dialects.ts'
import { benchEcho } from './echo.ts'
import { benchStartup } from './startup.ts'
import { benchThroughMiner } from './through-miner.ts'
import { benchValidatorBatch } from './validator-batch.ts'

const ROUNDS = 20
/** How many jobs run at once on one miner. */
const JOBS_AT_ONCE = 50

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { dialect: { type: 'string', default: 'both' } },
})
const dialects = dialectsIn(values.dialect)
if (dialects === undefined) throw new Error('--dialect must be v0, v2026 or both')
const rounds = Number(positionals[0] ?? ROUNDS)
const jobsAtOnce = Number(positionals[1] ?? JOBS_AT_ONCE)
await benchStartup(rounds)
process.stdout.write('\n')
await benchEcho(rounds, dialects)
process.stdout.write('\n')
await benchThroughMiner(rounds, dialects)
process.stdout.write('\n')
await benchConcurrentJobs(jobsAtOnce, dialects)
process.stdout.write('\n')
await benchValidatorBatch(dialects)
